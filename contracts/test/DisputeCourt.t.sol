// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Committee} from "../src/Committee.sol";
import {DisputeCourt} from "../src/DisputeCourt.sol";
import {EpochRewards} from "../src/EpochRewards.sol";
import {IDisputeCourt} from "../src/interfaces/IDisputeCourt.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {Coin, Consenting, Properties} from "./Properties.sol";

/// A committee member that signs nothing.
contract Refusing {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0;
    }
}

/// What no amounts, times and callers can make the court do. Bonds are fixed and bounties zero: the solver is slow at
/// dividing by the whole, and the vault's own property looks at the bounty.
contract DisputeCourtProperties is Properties, IDisputeCourt {
    uint64 private constant ANSWER = 1 days;
    uint64 private constant RULING = 3 days;
    uint64 private constant APPEAL = 4 days;
    uint64 private constant APPEAL_RULING = 7 days;
    uint64 private constant ROOT_RULING = 2 days;
    uint64 private constant DISPUTE = 1 days;
    uint128 private constant STAKE = 1_000_000_000;
    uint96 private constant BOND = 1_001;
    address private constant TIMELOCK = address(0x71E);

    StakeVault private vault;
    EpochRewards private rewards;
    DisputeCourt private court;
    /// Two that consent and one that refuses, ascending; two are needed.
    address[] private members;
    address private refusing;

    function setUp() public {
        vm.warp(START);
        coin = new Coin(SUPPLY);
        vault = new StakeVault(coin, TREASURY, StakeVault.Windows(14 days, 7 days, 3 days), 0, address(this));
        rewards = new EpochRewards(coin, DISPUTE, 4 days, address(this));
        refusing = address(new Refusing());
        _seat(refusing);
        _seat(address(new Consenting()));
        _seat(address(new Consenting()));
        court = new DisputeCourt(
            Parts(coin, vault, rewards, TREASURY, TIMELOCK),
            Windows(ANSWER, RULING, APPEAL, APPEAL_RULING, ROOT_RULING),
            Bonds(BOND, 0, BOND),
            members,
            2
        );
        vault.grantRole(vault.SLASHER_ROLE(), address(court));
        rewards.grantRole(rewards.COURT_ROLE(), address(court));
        rewards.grantRole(rewards.POSTER_ROLE(), POSTER);
        bytes32 role = court.GUARDIAN_ROLE();
        vm.prank(TIMELOCK);
        court.grantRole(role, GUARDIAN);
        coin.approve(address(vault), SUPPLY);
        coin.approve(address(rewards), SUPPLY);
        vault.stakeFor(BOB, STAKE);
        rewards.fund(1_000);
        _purse(ALICE);
        _purse(BOB);
    }

    function _seat(address member) private {
        members.push(member);
        for (uint256 i = members.length - 1; i > 0 && members[i] < members[i - 1]; --i) {
            (members[i], members[i - 1]) = (members[i - 1], members[i]);
        }
    }

    function _purse(address who) private {
        coin.transfer(who, 10 * BOND);
        vm.prank(who);
        coin.approve(address(court), type(uint256).max);
    }

    function _open(uint128 amount) private {
        vm.assume(amount != 0 && amount <= STAKE);
        vm.prank(ALICE);
        court.openCase(BOB, amount, "evidence");
    }

    /// Ballots of the two that consent.
    function _ballots() private view returns (Committee.Ballot[] memory ballots) {
        ballots = new Committee.Ballot[](2);
        uint256 next = 0;
        for (uint256 i = 0; i < 3; ++i) {
            if (members[i] != refusing) ballots[next++].member = members[i];
        }
    }

    function _rule(uint256 id, bool guilty) private returns (bool) {
        try court.rule(id, guilty, "reasons", 1, type(uint64).max, _ballots()) {
            return true;
        } catch {
            return false;
        }
    }

    /// One of the acts that close a case.
    function _close(uint256 id, uint8 way) private returns (bool) {
        if (way == 0) return _rule(id, false);
        if (way == 1) try court.expire(id) { return true; } catch { return false; }
        if (way == 2) try court.execute(id) { return true; } catch { return false; }
        vm.prank(way == 3 ? GUARDIAN : TIMELOCK);
        if (way == 3) try court.cancelCase(id) { return true; } catch { return false; }
        try court.ruleAppeal(id, way == 4) { return true; } catch { return false; }
    }

    function _money() private view returns (uint256) {
        return coin.balanceOf(ALICE) + coin.balanceOf(BOB) + coin.balanceOf(TREASURY) + coin.balanceOf(address(vault));
    }

    /// However a case over any amount ends: its bonds are out to the last unit, nothing is lost or made, stake goes
    /// by conviction only and is otherwise free, and no act closes it again.
    function check_a_case_closes_once_and_gives_all_bonds_back(uint128 amount, uint8 way, uint8 again) public {
        vm.assume(way <= 5 && again <= 5);
        uint256 before = _money();
        _open(amount);
        vm.warp(START + ANSWER + 1);
        if (way == 2 || way >= 4) assert(_rule(1, true));
        if (way >= 4) {
            vm.prank(BOB);
            court.appeal(1, "reasons");
            vm.warp(START + 3 days); // until then the vault does not let a dismissed appeal take the stake
        }
        if (way == 1) vm.warp(START + ANSWER + RULING + 1);
        if (way == 2) vm.warp(START + ANSWER + APPEAL + 2);
        assert(_close(1, way));
        bool convicted = way == 2 || way == 5;
        assert(court.bondsHeld() == 0 && coin.balanceOf(address(court)) == 0 && _money() == before);
        assert(vault.stakeOf(BOB) == (convicted ? STAKE - amount : STAKE) && vault.reservedOf(BOB) == 0);
        assert(court.caseOf(1).state == State.Closed);
        vm.warp(START + 30 days);
        assert(!_close(1, again) && _money() == before);
    }

    /// A ruling counts from the end of the answer's time to the end of its own, both to the second.
    function check_rulings_keep_their_time(uint64 wait, bool guilty) public {
        _open(STAKE);
        vm.warp(START + wait);
        assert(_rule(1, guilty) == (wait > ANSWER && wait <= ANSWER + RULING));
    }

    /// An unruled case expires after its time and not in it; a conviction waits for the whole time of the appeal.
    function check_nothing_closes_early(uint64 wait, bool ruled) public {
        _open(STAKE);
        vm.warp(START + ANSWER + 1);
        if (ruled) assert(_rule(1, true));
        vm.warp(START + ANSWER + 1 + wait);
        if (ruled) assert(_close(1, 2) == (wait > APPEAL));
        else assert(_close(1, 1) == (uint256(wait) + 1 > RULING));
    }

    /// An appeal is heard in its time; after it the conviction stands and the appeal's bond goes back.
    function check_appeals_keep_their_time(uint64 wait, uint64 more) public {
        _open(STAKE);
        vm.warp(START + ANSWER + 1);
        assert(_rule(1, true));
        vm.warp(START + ANSWER + 1 + wait);
        vm.prank(BOB);
        try court.appeal(1, "reasons") {
            assert(wait <= APPEAL);
            vm.warp(START + ANSWER + 1 + wait + more);
            if (more <= APPEAL_RULING) {
                assert(!_close(1, 2) && _close(1, 4) && vault.stakeOf(BOB) == STAKE);
            } else {
                assert(!_close(1, 4) && _close(1, 2) && vault.stakeOf(BOB) == 0);
                assert(coin.balanceOf(BOB) == 10 * uint256(BOND));
            }
        } catch {
            assert(wait > APPEAL);
        }
    }

    /// One who consents is not enough: whoever else is named, the ruling is refused.
    function check_no_ruling_without_a_majority(address one, address other, bool guilty) public {
        address first = members[0] == refusing ? members[1] : members[0];
        vm.assume(one == first || other == first || (one == refusing && other == refusing));
        vm.assume(!(one != refusing && other != refusing && one != other && court.isMember(1, one) && court.isMember(1, other)));
        _open(STAKE);
        vm.warp(START + ANSWER + 1);
        Committee.Ballot[] memory ballots = new Committee.Ballot[](2);
        (ballots[0].member, ballots[1].member) = (one, other);
        try court.rule(1, guilty, "reasons", 1, type(uint64).max, ballots) {
            assert(false);
        } catch {
            assert(vault.reservedOf(BOB) == STAKE);
        }
    }

    /// A root found wrong never pays; one found right pays from the second to which the challenge put it off.
    function check_a_convicted_root_never_pays(uint64 late, bool guilty, uint64 wait) public {
        vm.assume(late < DISPUTE);
        bytes32 root = rewards.leafOf(BOB, 5);
        vm.prank(POSTER);
        rewards.postRoot(0, root, 5, 0, "");
        vm.warp(START + late);
        vm.prank(ALICE);
        court.challengeRoot(0, root, "evidence");
        assert(_rule(1, guilty));
        vm.warp(START + late + wait);
        uint64 least = late + ROOT_RULING;
        try rewards.claim(BOB, 5, new bytes32[](0)) returns (uint128) {
            assert(!guilty && uint256(late) + wait >= least);
        } catch {
            assert(guilty || uint256(late) + wait < least);
        }
        assert(court.bondsHeld() == 0 && coin.balanceOf(address(court)) == 0);
    }
}
