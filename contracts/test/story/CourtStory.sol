// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {DisputeCourt} from "../../src/DisputeCourt.sol";
import {Committee} from "../../src/Committee.sol";
import {EpochRewards} from "../../src/EpochRewards.sol";
import {EssaimToken} from "../../src/EssaimToken.sol";
import {IDisputeCourt} from "../../src/interfaces/IDisputeCourt.sol";
import {StakeVault} from "../../src/StakeVault.sol";

/// The few cheats of the test machine that the stories use.
interface Machine {
    function warp(uint256) external;
    function prank(address) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function addr(uint256 key) external pure returns (address);
    function pauseGasMetering() external;
}

/// A member that is a contract: it stands by whatever digest it was told to.
contract Signer is IERC1271 {
    bytes32 private approved;

    function approve(bytes32 digest) external {
        approved = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == approved ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// A court with a real vault, rewards and token; three members with keys and one that is a contract.
abstract contract CourtStory is IDisputeCourt {
    Machine internal constant vm = Machine(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 internal constant START = 1_800_000_000;
    uint128 internal constant ESM = 1_000_000;
    bytes32 internal constant REASONS = "reasons";

    address internal constant ANN = address(0xA22); // accuses
    address internal constant BOB = address(0xB0B); // is accused
    address internal constant EVE = address(0xE4E); // a stranger
    address internal constant TREASURY = address(0x7EA5);
    address internal constant TIMELOCK = address(0x71E);
    address internal constant GUARDIAN = address(0x6A4D);
    address internal constant POSTER = address(0x9057);

    EssaimToken internal token;
    StakeVault internal vault;
    EpochRewards internal rewards;
    DisputeCourt internal court;
    Signer internal signer;
    /// Members, ascending; `keys[i]` is zero for the contract.
    address[] internal members;
    uint256[] internal keys;

    function setUp() public {
        vm.warp(START);
        token = new EssaimToken(type(uint64).max, address(this), 1_000_000 * ESM, address(this));
        vault = new StakeVault(token, TREASURY, StakeVault.Windows(60, 20, 10), 400_000, address(this));
        rewards = new EpochRewards(token, 10, 30, address(this));
        signer = new Signer();
        _seat(address(signer), 0);
        for (uint256 key = 1; key <= 3; ++key) _seat(vm.addr(key), key);
        court = new DisputeCourt(
            Parts(token, vault, rewards, TREASURY, TIMELOCK), Windows(5, 30, 10, 40, 20), Bonds(uint96(2 * ESM), 100_000, uint96(3 * ESM)), members, 3
        );
        vault.grantRole(vault.SLASHER_ROLE(), address(court));
        vault.grantRole(vault.GUARDIAN_ROLE(), GUARDIAN);
        rewards.grantRole(rewards.COURT_ROLE(), address(court));
        rewards.grantRole(rewards.POSTER_ROLE(), POSTER);
        bytes32 role = court.GUARDIAN_ROLE();
        vm.prank(TIMELOCK);
        court.grantRole(role, GUARDIAN);
        token.approve(address(vault), type(uint256).max);
        token.approve(address(rewards), type(uint256).max);
        vault.stakeFor(BOB, 100 * ESM);
        for (uint256 i = 0; i < 3; ++i) {
            address who = i == 0 ? ANN : i == 1 ? BOB : EVE;
            token.transfer(who, 100 * ESM);
            vm.prank(who);
            token.approve(address(court), type(uint256).max);
        }
    }

    /// Puts a member in its place.
    function _seat(address member, uint256 key) private {
        members.push(member);
        keys.push(key);
        for (uint256 i = members.length - 1; i > 0 && members[i - 1] > members[i]; --i) {
            (members[i - 1], members[i]) = (members[i], members[i - 1]);
            (keys[i - 1], keys[i]) = (keys[i], keys[i - 1]);
        }
    }

    /// Ann accuses Bob over 50 ESM: the bond is a tenth, 5 ESM.
    function _accuse() internal returns (uint256 id) {
        vm.prank(ANN);
        return court.openCase(BOB, 50 * ESM, "evidence");
    }

    /// Ballots of members `from..to` under a ruling of the sitting committee.
    function _ballots(uint256 id, bool guilty, uint256 from, uint256 to)
        internal
        returns (Committee.Ballot[] memory ballots)
    {
        bytes32 digest = court.rulingDigest(id, guilty, REASONS, court.committee(), type(uint64).max);
        signer.approve(digest);
        ballots = new Committee.Ballot[](to - from);
        for (uint256 i = from; i < to; ++i) ballots[i - from] = Committee.Ballot(members[i], _sign(keys[i], digest));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        if (key == 0) return "";
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// The committee's first three rule.
    function _rule(uint256 id, bool guilty) internal {
        _ruleBy(id, guilty, _ballots(id, guilty, 0, 3), "");
    }

    /// Enters a ruling; with `refusal` it must be refused by just that.
    function _ruleBy(uint256 id, bool guilty, Committee.Ballot[] memory ballots, bytes memory refusal) internal {
        uint64 number = court.committee();
        bytes memory call = abi.encodeCall(court.rule, (id, guilty, REASONS, number, type(uint64).max, ballots));
        _by(EVE, call, refusal);
    }

    /// Calls the court as `who`; with `refusal` it must be refused by just that, else it must succeed.
    function _by(address who, bytes memory call, bytes memory refusal) internal {
        vm.prank(who);
        (bool ok, bytes memory data) = address(court).call(call);
        if (refusal.length == 0) require(ok, "refused");
        else require(!ok && keccak256(data) == keccak256(refusal), "not refused as it should be");
        _books();
    }

    /// The court holds exactly the bonds of open cases.
    function _books() internal view {
        require(token.balanceOf(address(court)) == court.bondsHeld(), "bonds");
    }

    /// Who has how much beside stake, in whole ESM.
    function _purses(uint256 ann, uint256 bob, uint256 treasury) internal view {
        require(token.balanceOf(ANN) == ann * ESM, "Ann");
        require(token.balanceOf(BOB) == bob * ESM, "Bob");
        require(token.balanceOf(TREASURY) == treasury * ESM, "treasury");
        _books();
    }

    function _ended(uint256 id, Outcome outcome) internal {
        Case memory c = court.caseOf(id);
        require(c.state == State.Closed && c.outcome == outcome, "outcome");
        // Closed is closed: nothing moves it again.
        bytes memory refusal = abi.encodeWithSelector(WrongState.selector, id, State.Closed);
        _by(EVE, abi.encodeCall(court.execute, (id)), refusal);
        _by(EVE, abi.encodeCall(court.expire, (id)), refusal);
        _by(BOB, abi.encodeCall(court.appeal, (id, 0)), refusal);
        _by(BOB, abi.encodeCall(court.respond, (id, 0)), refusal);
        _by(TIMELOCK, abi.encodeCall(court.ruleAppeal, (id, true)), refusal);
        _by(GUARDIAN, abi.encodeCall(court.cancelCase, (id)), refusal);
        _ruleBy(id, true, _ballots(id, true, 0, 3), refusal);
    }
}
