// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Committee} from "./Committee.sol";
import {IDisputeCourt} from "./interfaces/IDisputeCourt.sol";
import {IEpochRewards} from "./interfaces/IEpochRewards.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";

/// @title Where anybody accuses, with a bond, and a committee rules.
/// @notice Two kinds of case. A *stake* case accuses a node: its stake is reserved at once and lost if the case ends
///         in a conviction. A *root* case says that a pending epoch root is wrong: the root is held and, if the
///         committee agrees, voided.
///
///         Stake: Open -> (Answered) -> Guilty -> (Appealed) -> Closed; Root: Open -> Closed.
///
///         Promises: each case closes exactly once; what a case took in bonds it pays out when it closes, so
///         `bondsIn - bondsOut` is what is held; no step happens after its time, and whatever stands still past its
///         time anybody can close. Pausing stops new cases only.
///         Never: moves stake by itself (the vault does), trusts one key, or looks at the evidence, of which it
///         keeps the hash.
contract DisputeCourt is IDisputeCourt, Committee, AccessControl, EIP712, Pausable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice May pause and cancel, nothing else.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    /// @notice Millionths in a whole.
    uint256 public constant PPM = 1_000_000;
    /// @notice What of a lost bond the wrongly accused receives, in millionths; the treasury receives the rest.
    uint256 public constant ACCUSED_SHARE_PPM = 500_000;
    /// @notice Longest window of any step, in seconds: 90 days.
    uint64 public constant WINDOW_MAX = 90 days;

    /// @notice What the committee signs in a stake case.
    bytes32 public constant STAKE_RULING_TYPEHASH = keccak256(
        "StakeRuling(uint256 caseId,address accused,uint128 amount,bytes32 evidence,bytes32 answer,bool guilty,bytes32 reasons,uint64 committee,uint64 deadline)"
    );
    /// @notice What the committee signs in a root case.
    bytes32 public constant ROOT_RULING_TYPEHASH = keccak256(
        "RootRuling(uint256 caseId,uint64 epoch,bytes32 root,bytes32 evidence,bool guilty,bytes32 reasons,uint64 committee,uint64 deadline)"
    );

    /// @notice The token of stake and bonds.
    IERC20 public immutable token;
    /// @notice Holds the stake.
    IStakeVault public immutable vault;
    /// @notice Pays the rewards.
    IEpochRewards public immutable rewards;
    /// @notice Receives what losers pay.
    address public immutable treasury;
    /// @notice Seconds to answer.
    uint64 public immutable answerWindow;
    /// @notice Seconds to rule after the answer's time.
    uint64 public immutable rulingWindow;
    /// @notice Seconds to appeal after a ruling.
    uint64 public immutable appealWindow;
    /// @notice Seconds to rule on an appeal.
    uint64 public immutable appealRulingWindow;
    /// @notice Seconds to rule on a root.
    uint64 public immutable rootRulingWindow;

    /// @notice What a challenge costs now. A case keeps the bond it was opened with.
    Bonds public bonds;
    /// @notice Number of the newest case; the first is 1.
    uint256 public caseCount;
    /// @notice All bonds ever taken, in micro-ESM.
    uint128 public bondsIn;
    /// @notice All bonds ever paid out, in micro-ESM.
    uint128 public bondsOut;

    mapping(uint256 id => Case) private _cases;

    /// @param parts Contracts and accounts.
    /// @param windows How long each step may take.
    /// @param price What a challenge costs.
    /// @param members The first committee, ascending.
    /// @param needed How many of it must sign.
    constructor(
        Parts memory parts,
        Windows memory windows,
        Bonds memory price,
        address[] memory members,
        uint16 needed
    ) EIP712("Essaim DisputeCourt", "1") {
        if (
            address(parts.token) == address(0) || address(parts.vault) == address(0)
                || address(parts.rewards) == address(0) || parts.treasury == address(0) || parts.admin == address(0)
        ) revert ZeroAddress();
        token = parts.token;
        vault = parts.vault;
        rewards = parts.rewards;
        treasury = parts.treasury;
        answerWindow = _bounded(windows.answer, 1);
        rulingWindow = _bounded(windows.ruling, 1);
        appealWindow = _bounded(windows.appeal, parts.vault.slashWindow());
        appealRulingWindow = _bounded(windows.appealRuling, 1);
        rootRulingWindow = _bounded(windows.rootRuling, 1);
        _setBonds(price);
        _setCommittee(members, needed);
        _grantRole(DEFAULT_ADMIN_ROLE, parts.admin);
    }

    // ---- opening ----

    /// @notice Accuses `accused`, reserves `amount` of its stake, and takes `bondFor(amount)` from the caller.
    /// @param accused Whose stake; not the caller.
    /// @param amount Stake at risk, in micro-ESM; what the vault refuses to reserve is refused here.
    /// @param evidence Hash of what the accusation rests on, published elsewhere. What is published should name the
    ///        challenger: then nobody who sees this call can bring the same case first, because the committee acquits
    ///        where the evidence names another challenger.
    /// @return id Number of the case.
    function openCase(address accused, uint128 amount, bytes32 evidence)
        external
        nonReentrant
        whenNotPaused
        returns (uint256 id)
    {
        if (amount == 0) revert NoAmount();
        if (accused == msg.sender) revert SelfAccused(accused);
        uint128 bond = bondFor(amount);
        id = ++caseCount;
        Case storage c = _cases[id];
        uint64 answerUntil = uint64(block.timestamp) + answerWindow;
        uint64 ruleUntil = answerUntil + rulingWindow;
        (c.state, c.kind, c.challenger, c.deadline) = (State.Open, Kind.Stake, msg.sender, ruleUntil);
        (c.accused, c.answerUntil) = (accused, answerUntil);
        (c.bond, c.amount, c.evidence) = (bond, amount, evidence);
        _take(bond);
        uint64 slashId = SafeCast.toUint64(vault.openSlash(accused, amount, evidence, msg.sender));
        c.slashId = slashId;
        emit CaseOpened(id, msg.sender, accused, amount, bond, slashId, evidence, answerUntil, ruleUntil);
    }

    /// @notice Says that the pending `root` of `epoch` is wrong, holds it, and takes `bonds.root` from the caller.
    ///         Several challenges of one root run side by side, so that none can shut out another.
    /// @param epoch Epoch of the pending root.
    /// @param root The pending root, so that a call that comes late does not challenge another one.
    /// @param evidence Hash of what the challenge rests on, published elsewhere.
    /// @return id Number of the case.
    function challengeRoot(uint64 epoch, bytes32 root, bytes32 evidence)
        external
        nonReentrant
        whenNotPaused
        returns (uint256 id)
    {
        if (!_isPending(epoch, root)) revert NotPending(epoch, root);
        uint128 bond = bonds.root;
        id = ++caseCount;
        Case storage c = _cases[id];
        (c.state, c.kind, c.challenger) = (State.Open, Kind.Root, msg.sender);
        (c.bond, c.epoch, c.root, c.evidence) = (bond, epoch, root, evidence);
        _take(bond);
        uint64 ruleUntil = rewards.holdPending(epoch, uint64(block.timestamp) + rootRulingWindow) - 1;
        c.deadline = ruleUntil;
        emit RootChallenged(id, msg.sender, epoch, root, bond, evidence, ruleUntil);
    }

    // ---- answering and ruling ----

    /// @notice The accused answers, once. The committee may then rule at once.
    /// @param id Number of the case.
    /// @param answer Hash of the answer, published elsewhere.
    function respond(uint256 id, bytes32 answer) external {
        Case storage c = _cases[id];
        if (c.kind != Kind.Stake || c.state != State.Open) revert WrongState(id, c.state);
        if (c.accused != msg.sender) revert NotAccused(c.accused, msg.sender);
        _inTime(c.answerUntil);
        c.state = State.Answered;
        c.answer = answer;
        emit Answered(id, answer);
    }

    /// @notice Enters the committee's ruling; anybody may bring it. Not before the accused has answered or let the
    ///         time for it pass, not after the case's deadline nor the ruling's own.
    /// @param id Number of the case.
    /// @param guilty Whether the accusation holds.
    /// @param reasons Hash of the reasons, published elsewhere.
    /// @param number The committee for which it was signed.
    /// @param signedUntil Last second at which the signatures are good.
    /// @param ballots Signatures over `rulingDigest(..)`, ascending by member, none of a party to the case.
    function rule(
        uint256 id,
        bool guilty,
        bytes32 reasons,
        uint64 number,
        uint64 signedUntil,
        Ballot[] calldata ballots
    ) external nonReentrant {
        Case storage c = _cases[id];
        if (c.state != State.Open && c.state != State.Answered) revert WrongState(id, c.state);
        if (c.kind == Kind.Stake && c.state == State.Open) _afterTime(c.answerUntil);
        _inTime(c.deadline);
        _inTime(signedUntil);
        bytes32 digest = rulingDigest(id, guilty, reasons, number, signedUntil);
        _requireRuling(digest, number, ballots, c.accused, c.challenger);
        if (c.kind == Kind.Stake) _ruleStake(id, c, guilty, reasons, number);
        else _ruleRoot(id, c, guilty, reasons, number);
    }

    /// @notice What members sign (EIP-712) in case `id`. It names what the case is about, so that a signature is
    ///         worth nothing if the chain is rewound and the number goes to another case.
    /// @param id Number of the case.
    /// @param guilty Whether the accusation holds.
    /// @param reasons Hash of the reasons.
    /// @param number The committee for which it is signed.
    /// @param signedUntil Last second at which the signatures are good.
    function rulingDigest(uint256 id, bool guilty, bytes32 reasons, uint64 number, uint64 signedUntil)
        public
        view
        returns (bytes32)
    {
        Case storage c = _cases[id];
        bytes32 about = c.kind == Kind.Stake
            ? keccak256(
                abi.encode(
                    STAKE_RULING_TYPEHASH,
                    id,
                    c.accused,
                    c.amount,
                    c.evidence,
                    c.answer,
                    guilty,
                    reasons,
                    number,
                    signedUntil
                )
            )
            : keccak256(
                abi.encode(
                    ROOT_RULING_TYPEHASH, id, c.epoch, c.root, c.evidence, guilty, reasons, number, signedUntil
                )
            );
        return _hashTypedDataV4(about);
    }

    // ---- appeal ----

    /// @notice The convicted accused asks the timelock to look again, for a bond as large as the challenger's.
    /// @param id Number of the case.
    /// @param reasons Hash of the reasons, published elsewhere.
    function appeal(uint256 id, bytes32 reasons) external nonReentrant {
        Case storage c = _cases[id];
        if (c.state != State.Guilty) revert WrongState(id, c.state);
        if (c.accused != msg.sender) revert NotAccused(c.accused, msg.sender);
        _inTime(c.deadline);
        uint64 ruleUntil = uint64(block.timestamp) + appealRulingWindow;
        (c.state, c.deadline, c.appealBond) = (State.Appealed, ruleUntil, c.bond);
        _take(c.bond);
        emit Appealed(id, c.bond, reasons, ruleUntil);
    }

    /// @notice The timelock rules on an appeal. Upheld: the stake is free, the accused has its bond back and shares
    ///         the challenger's with the treasury. Dismissed: the stake is lost, and the appeal's bond with it; the
    ///         vault refuses that before its `slashWindow` has passed since the opening, and it can be tried again.
    /// @param id Number of the case.
    /// @param upheld Whether the accused is right.
    function ruleAppeal(uint256 id, bool upheld) external nonReentrant onlyRole(DEFAULT_ADMIN_ROLE) {
        Case storage c = _cases[id];
        if (c.state != State.Appealed) revert WrongState(id, c.state);
        _inTime(c.deadline);
        if (upheld) {
            uint128 share = _accusedShare(c.bond);
            _closeStake(id, c, Outcome.Overturned, 0, c.appealBond + share, c.bond - share);
        } else {
            _closeStake(id, c, Outcome.Convicted, c.bond, 0, c.appealBond);
        }
    }

    // ---- closing by anybody ----

    /// @notice Carries out a conviction that was not appealed in time, or whose appeal nobody heard in time (the
    ///         appeal's bond then goes back). The vault pays the challenger's bounty.
    /// @param id Number of the case.
    function execute(uint256 id) external nonReentrant {
        Case storage c = _cases[id];
        if (c.state != State.Guilty && c.state != State.Appealed) revert WrongState(id, c.state);
        _afterTime(c.deadline);
        _closeStake(id, c, Outcome.Convicted, c.bond, c.appealBond, 0);
    }

    /// @notice Closes a case on which nobody ruled in time, or whose root is no longer pending. The bond goes back.
    /// @param id Number of the case.
    function expire(uint256 id) external nonReentrant {
        Case storage c = _cases[id];
        if (c.state != State.Open && c.state != State.Answered) revert WrongState(id, c.state);
        if (c.kind == Kind.Stake) {
            _afterTime(c.deadline);
            _closeStake(id, c, Outcome.Expired, c.bond, 0, 0);
        } else {
            if (_isPending(c.epoch, c.root)) _afterTime(c.deadline);
            _close(id, c, Outcome.Expired, c.bond, 0, 0);
        }
    }

    // ---- guardian and timelock ----

    /// @notice Stops a case: the stake is free, all bonds go back. Only the guardian.
    /// @param id Number of the case.
    function cancelCase(uint256 id) external nonReentrant onlyRole(GUARDIAN_ROLE) {
        Case storage c = _cases[id];
        if (c.state == State.None || c.state == State.Closed) revert WrongState(id, c.state);
        if (c.kind == Kind.Stake) _closeStake(id, c, Outcome.Cancelled, c.bond, c.appealBond, 0);
        else _close(id, c, Outcome.Cancelled, c.bond, 0, 0);
    }

    /// @notice Stops new cases. Only the guardian.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        _pause();
    }

    /// @notice Lets new cases in again. Only the guardian.
    function unpause() external onlyRole(GUARDIAN_ROLE) {
        _unpause();
    }

    /// @notice Seats a new committee. Only the timelock. Open cases are ruled by the new one.
    /// @param members Who sits, ascending, at most COMMITTEE_MAX.
    /// @param needed How many must sign: more than half.
    function setCommittee(address[] calldata members, uint16 needed) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setCommittee(members, needed);
    }

    /// @notice Sets what new challenges cost. Only the timelock.
    /// @param price The new bonds; neither fixed one may be zero.
    function setBonds(Bonds calldata price) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setBonds(price);
    }

    // ---- views ----

    /// @notice Everything about a case; all zero if there is none.
    /// @param id Number of the case.
    function caseOf(uint256 id) external view returns (Case memory) {
        return _cases[id];
    }

    /// @notice Bonds held now, in micro-ESM.
    function bondsHeld() external view returns (uint128) {
        return bondsIn - bondsOut;
    }

    /// @notice Bond of a stake case: `max(least, amount · ppm / 1 000 000)`, rounded down, in micro-ESM.
    /// @param amount Stake at risk, in micro-ESM.
    function bondFor(uint128 amount) public view returns (uint128) {
        uint256 share = uint256(amount) * bonds.ppm / PPM; // ppm <= PPM, so share <= amount fits 128 bits
        return share > bonds.least ? uint128(share) : bonds.least;
    }

    // ---- inside ----

    /// Enters a ruling on stake: opens the time for an appeal, or frees the stake and shares the bond.
    function _ruleStake(uint256 id, Case storage c, bool guilty, bytes32 reasons, uint64 number) private {
        uint64 appealUntil = guilty ? uint64(block.timestamp) + appealWindow : 0;
        emit Ruled(id, guilty, reasons, number, appealUntil);
        if (guilty) {
            (c.state, c.deadline) = (State.Guilty, appealUntil);
        } else {
            uint128 share = _accusedShare(c.bond);
            _closeStake(id, c, Outcome.Acquitted, 0, share, c.bond - share);
        }
    }

    /// Enters a ruling on a root: voids it, or gives the bond to the treasury.
    function _ruleRoot(uint256 id, Case storage c, bool guilty, bytes32 reasons, uint64 number) private {
        if (!_isPending(c.epoch, c.root)) revert NotPending(c.epoch, c.root);
        emit Ruled(id, guilty, reasons, number, 0);
        if (guilty) {
            _close(id, c, Outcome.Convicted, c.bond, 0, 0);
            rewards.voidPending(c.epoch);
        } else {
            _close(id, c, Outcome.Acquitted, 0, 0, c.bond);
        }
    }

    /// Ends the slash and closes the case. A slash that the vault's guardian has cancelled already stays so.
    function _closeStake(
        uint256 id,
        Case storage c,
        Outcome outcome,
        uint128 toChallenger,
        uint128 toAccused,
        uint128 toTreasury
    ) private {
        _close(id, c, outcome, toChallenger, toAccused, toTreasury);
        uint256 slashId = c.slashId;
        if (vault.slashState(slashId) != IStakeVault.SlashState.Open) return;
        if (outcome == Outcome.Convicted) vault.executeSlash(slashId);
        else vault.cancelSlash(slashId);
    }

    /// Closes the case and pays its bonds out. The three shares are all it held.
    function _close(
        uint256 id,
        Case storage c,
        Outcome outcome,
        uint128 toChallenger,
        uint128 toAccused,
        uint128 toTreasury
    ) private {
        uint128 held = c.bond + c.appealBond;
        assert(toChallenger + toAccused + toTreasury == held);
        (c.state, c.outcome) = (State.Closed, outcome);
        bondsOut += held;
        emit CaseClosed(id, outcome, toChallenger, toAccused, toTreasury);
        if (toChallenger != 0) token.safeTransfer(c.challenger, toChallenger);
        if (toAccused != 0) token.safeTransfer(c.accused, toAccused);
        if (toTreasury != 0) token.safeTransfer(treasury, toTreasury);
    }

    /// Takes a bond from the caller.
    function _take(uint128 bond) private {
        bondsIn += bond;
        token.safeTransferFrom(msg.sender, address(this), bond);
    }

    /// Sets what challenges cost. Free challenges would be thrown at everybody.
    function _setBonds(Bonds memory price) private {
        if (price.least == 0) revert BondBounds(1, type(uint96).max, price.least);
        if (price.root == 0) revert BondBounds(1, type(uint96).max, price.root);
        if (price.ppm > PPM) revert BondBounds(0, PPM, price.ppm);
        bonds = price;
        emit BondsSet(price.least, price.ppm, price.root);
    }

    /// Whether `root` of `epoch` is the one that is pending now.
    function _isPending(uint64 epoch, bytes32 root) private view returns (bool) {
        (uint64 pendingEpoch, bytes32 pending, uint64 liveAt) = rewards.pendingRoot();
        return root != 0 && pending == root && pendingEpoch == epoch && block.timestamp < liveAt;
    }

    /// What a wrongly accused receives of a lost bond, rounded down.
    function _accusedShare(uint128 bond) private pure returns (uint128) {
        return uint128(uint256(bond) * ACCUSED_SHARE_PPM / PPM); // at most bond
    }

    /// Refuses after `deadline`.
    function _inTime(uint64 deadline) private view {
        if (block.timestamp > deadline) revert TooLate(deadline, block.timestamp);
    }

    /// Refuses up to and including `deadline`.
    function _afterTime(uint64 deadline) private view {
        if (block.timestamp <= deadline) revert TooEarly(deadline + 1, block.timestamp);
    }

    /// A window between `least` and WINDOW_MAX.
    function _bounded(uint64 window, uint64 least) private pure returns (uint64) {
        if (window < least || window > WINDOW_MAX) revert WindowBounds(least, WINDOW_MAX, window);
        return window;
    }
}
