// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";

/// @title Holds the stake that a node loses when it lies.
/// @notice Promise: every unit that comes in leaves once, either to the account that it was staked for, after the
///         cooldown, or by an executed slash. An open slash reserves stake at once, active or leaving, so that
///         waiting out the cooldown does not help. Pausing stops deposits and new slashes, never a withdrawal.
/// @dev Several open slashes may claim the same stake. If they could not, a liar would have a friend open a hollow
///      case for all of it, and no true case could reserve a unit until the hollow one closes. What is executed
///      first takes first; a later one takes what is left.
contract StakeVault is IStakeVault, AccessControl, Pausable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice What an account has in the vault.
    struct Position {
        /// Units that count as stake, in micro-ESM.
        uint128 active;
        /// Units on their way out, in micro-ESM; they can still be slashed.
        uint128 leaving;
        /// Sum of the open slashes, in micro-ESM; may exceed what the account has.
        uint128 claimed;
        /// Second from which `leaving` can be withdrawn.
        uint64 leaveAt;
    }

    /// @notice One accusation that reserves stake.
    struct Slash {
        /// Whose stake.
        address account;
        /// Second from which it can be executed.
        uint64 readyAt;
        /// Where it stands.
        SlashState state;
        /// Who opened it and alone may execute it.
        address opener;
        /// Who receives the bounty; zero for nobody.
        address beneficiary;
        /// Units reserved, in micro-ESM.
        uint128 amount;
    }

    /// @notice Seconds that stake, evidence and accused are given.
    struct Windows {
        /// Between the request to leave and the withdrawal.
        uint64 cooldown;
        /// Between a lie and its discovery at the latest.
        uint64 detection;
        /// Between the opening of a slash and its execution at the earliest.
        uint64 slash;
    }

    /// @notice May open slashes. Held by the dispute court alone.
    bytes32 public constant SLASHER_ROLE = keccak256("SLASHER_ROLE");
    /// @notice May pause deposits and new slashes, and cancel a slash.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    /// @notice The whole, in millionths.
    uint256 public constant PPM = 1_000_000;
    /// @notice The largest bounty, in millionths of what is slashed: half, so that accusing a friend never pays.
    uint256 public constant BOUNTY_PPM_MAX = 500_000;

    /// @notice The token that is staked.
    IERC20 public immutable token;
    /// @notice Where slashed stake goes, less the bounty.
    address public immutable treasury;
    /// @notice Seconds between the request to leave and the withdrawal.
    uint64 public immutable cooldown;
    /// @notice Seconds within which a lie is discovered at the latest.
    uint64 public immutable detectionWindow;
    /// @inheritdoc IStakeVault
    uint64 public immutable slashWindow;
    /// @notice Bounty in millionths of what is slashed.
    uint32 public immutable bountyPpm;

    /// @notice Units in the vault, active and leaving, in micro-ESM.
    uint256 public totalHeld;
    /// @notice Number of slashes ever opened; they are numbered from 1.
    uint256 public slashCount;
    mapping(address account => Position) private _positions;
    mapping(uint256 id => Slash) private _slashes;

    /// @notice Stake came in.
    /// @param account Whose stake it is now.
    /// @param payer Who paid.
    /// @param amount Units, in micro-ESM.
    event Staked(address indexed account, address indexed payer, uint128 amount);
    /// @notice Stake is on its way out and counts no more.
    /// @param account Whose stake.
    /// @param amount Units added to what is leaving, in micro-ESM.
    /// @param leaveAt Second from which all that is leaving can be withdrawn.
    event LeaveRequested(address indexed account, uint128 amount, uint64 leaveAt);
    /// @notice What was leaving is active again.
    /// @param account Whose stake.
    /// @param amount Units, in micro-ESM.
    event LeaveCancelled(address indexed account, uint128 amount);
    /// @notice Stake went back to its account.
    /// @param account Whose stake.
    /// @param amount Units, in micro-ESM.
    event Withdrawn(address indexed account, uint128 amount);
    /// @notice Stake is reserved for an accusation.
    /// @param id Number of the slash.
    /// @param account Whose stake.
    /// @param amount Units, in micro-ESM.
    /// @param evidence Hash of what is said against the account.
    /// @param beneficiary Who receives the bounty; zero for nobody.
    /// @param readyAt Second from which it can be executed.
    event SlashOpened(
        uint256 indexed id,
        address indexed account,
        uint128 amount,
        bytes32 evidence,
        address beneficiary,
        uint64 readyAt
    );
    /// @notice Stake was taken.
    /// @param id Number of the slash.
    /// @param account Who lost it.
    /// @param taken Units taken, in micro-ESM; less than reserved if an earlier slash left less.
    /// @param bounty Part of `taken` that went to the beneficiary, in micro-ESM.
    event SlashExecuted(uint256 indexed id, address indexed account, uint128 taken, uint128 bounty);
    /// @notice The reservation is gone, nothing was taken.
    /// @param id Number of the slash.
    /// @param account Whose stake is free.
    event SlashCancelled(uint256 indexed id, address indexed account);

    /// @notice An amount of nothing was asked for.
    error ZeroAmount();
    /// @notice An address of nobody was given.
    error ZeroAddress();
    /// @notice The account has less than was asked for.
    /// @param limit Units it has, in micro-ESM.
    /// @param given Units asked for, in micro-ESM.
    error NotEnoughStake(uint128 limit, uint128 given);
    /// @notice The time has not come.
    /// @param readyAt Second from which it has.
    error TooEarly(uint64 readyAt);
    /// @notice Nothing is on its way out.
    error NothingLeaving();
    /// @notice All that is leaving is reserved by open slashes.
    /// @param reserved Units reserved, in micro-ESM.
    error StakeReserved(uint128 reserved);
    /// @notice The slash is not open.
    /// @param id Its number.
    /// @param state Where it stands.
    error SlashNotOpen(uint256 id, SlashState state);
    /// @notice Only the slash's opener, or for a cancellation GUARDIAN, may do this.
    /// @param id Number of the slash.
    /// @param caller Who tried.
    error NotOpener(uint256 id, address caller);
    /// @notice The accused, the vault and the token cannot receive the bounty.
    /// @param beneficiary Who was named.
    error BadBeneficiary(address beneficiary);
    /// @notice The token paid out less, or more, than it was asked to.
    /// @param expected Units expected, in micro-ESM.
    /// @param received Units that came, in micro-ESM.
    error WrongTransfer(uint256 expected, uint256 received);
    /// @notice The cooldown must exceed the windows of detection and slash together, and no window may be zero.
    /// @param limit Detection and slash window together, in seconds.
    /// @param given The cooldown, in seconds.
    error CooldownTooShort(uint64 limit, uint64 given);
    /// @notice The bounty is above its limit.
    /// @param limit The limit, in millionths.
    /// @param given The bounty, in millionths.
    error BountyTooLarge(uint256 limit, uint256 given);

    /// @param token_ The token that is staked; one that takes a fee on transfer is refused at the first deposit.
    /// @param treasury_ Where slashed stake goes, less the bounty.
    /// @param windows Seconds of each window; `cooldown > detection + slash`.
    /// @param bountyPpm_ Bounty in millionths of what is slashed, at most half.
    /// @param admin Grants and revokes roles; the deployer hands this to the timelock.
    constructor(IERC20 token_, address treasury_, Windows memory windows, uint32 bountyPpm_, address admin) {
        if (address(token_) == address(0) || treasury_ == address(0) || admin == address(0)) revert ZeroAddress();
        uint64 needed = windows.detection + windows.slash;
        if (windows.detection == 0 || windows.slash == 0 || windows.cooldown <= needed) {
            revert CooldownTooShort(needed, windows.cooldown);
        }
        if (bountyPpm_ > BOUNTY_PPM_MAX) revert BountyTooLarge(BOUNTY_PPM_MAX, bountyPpm_);
        token = token_;
        treasury = treasury_;
        cooldown = windows.cooldown;
        detectionWindow = windows.detection;
        slashWindow = windows.slash;
        bountyPpm = bountyPpm_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    // ---- accounts ----

    /// @notice Stakes for the caller. The vault needs the caller's allowance.
    /// @param amount Units, in micro-ESM. Fails with `ZeroAmount`, or while paused.
    function stake(uint128 amount) external nonReentrant whenNotPaused {
        _stake(msg.sender, amount);
    }

    /// @notice Stakes for another account, which alone can withdraw it. The vault needs the caller's allowance.
    /// @param account Whose stake it becomes.
    /// @param amount Units, in micro-ESM. Fails with `ZeroAmount`, `ZeroAddress`, or while paused.
    function stakeFor(address account, uint128 amount) external nonReentrant whenNotPaused {
        if (account == address(0)) revert ZeroAddress();
        _stake(account, amount);
    }

    /// @notice Stakes for the caller with an EIP-2612 permit in place of an allowance given before.
    /// @param amount Units, in micro-ESM.
    /// @param deadline Second until which the permit holds.
    /// @param v Recovery bit of the permit's signature.
    /// @param r First half of the signature.
    /// @param s Second half of the signature.
    function stakeWithPermit(uint128 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        whenNotPaused
    {
        // Anybody can spend a permit first; the allowance is then there, and the transfer below decides.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _stake(msg.sender, amount);
    }

    /// @notice Starts the cooldown of a part of the caller's stake; it counts no more but can still be slashed.
    ///         The cooldown of what was leaving before starts again.
    /// @param amount Units, in micro-ESM. Fails with `ZeroAmount` or `NotEnoughStake`.
    function requestLeave(uint128 amount) external {
        Position storage position = _positions[msg.sender];
        if (amount == 0) revert ZeroAmount();
        if (amount > position.active) revert NotEnoughStake(position.active, amount);
        uint64 leaveAt = uint64(block.timestamp) + cooldown;
        position.active -= amount;
        position.leaving += amount;
        position.leaveAt = leaveAt;
        emit LeaveRequested(msg.sender, amount, leaveAt);
    }

    /// @notice Makes all that is leaving active again. Fails with `NothingLeaving`.
    function cancelLeave() external {
        Position storage position = _positions[msg.sender];
        uint128 amount = position.leaving;
        if (amount == 0) revert NothingLeaving();
        position.active += amount;
        position.leaving = 0;
        position.leaveAt = 0;
        emit LeaveCancelled(msg.sender, amount);
    }

    /// @notice Pays the caller what has left, less what open slashes reserve beyond the active stake. Never paused.
    /// @return amount Units paid, in micro-ESM. Fails with `NothingLeaving`, `TooEarly` or `StakeReserved`.
    function withdraw() external nonReentrant returns (uint128 amount) {
        Position storage position = _positions[msg.sender];
        uint128 leaving = position.leaving;
        if (leaving == 0) revert NothingLeaving();
        if (block.timestamp < position.leaveAt) revert TooEarly(position.leaveAt);
        amount = _min(leaving, _free(position));
        if (amount == 0) revert StakeReserved(_reserved(position));
        position.leaving = leaving - amount;
        totalHeld -= amount;
        emit Withdrawn(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    // ---- slashing ----

    /// @inheritdoc IStakeVault
    /// @dev Fails with `ZeroAmount`, `NotEnoughStake`, `BadBeneficiary`, or while paused.
    function openSlash(address account, uint128 amount, bytes32 evidence, address beneficiary)
        external
        onlyRole(SLASHER_ROLE)
        whenNotPaused
        returns (uint256 id)
    {
        Position storage position = _positions[account];
        uint128 held = position.active + position.leaving;
        if (amount == 0) revert ZeroAmount();
        if (amount > held) revert NotEnoughStake(held, amount);
        if (beneficiary == account || beneficiary == address(this) || beneficiary == address(token)) {
            revert BadBeneficiary(beneficiary);
        }
        position.claimed += amount;
        id = ++slashCount;
        uint64 readyAt = uint64(block.timestamp) + slashWindow;
        _slashes[id] = Slash(account, readyAt, SlashState.Open, msg.sender, beneficiary, amount);
        emit SlashOpened(id, account, amount, evidence, beneficiary, readyAt);
    }

    /// @inheritdoc IStakeVault
    /// @dev Fails with `SlashNotOpen` or `NotOpener`.
    function cancelSlash(uint256 id) external {
        Slash storage slash = _openSlash(id);
        if (msg.sender != slash.opener && !hasRole(GUARDIAN_ROLE, msg.sender)) revert NotOpener(id, msg.sender);
        slash.state = SlashState.Cancelled;
        _positions[slash.account].claimed -= slash.amount;
        emit SlashCancelled(id, slash.account);
    }

    /// @inheritdoc IStakeVault
    /// @dev Takes active stake first, then what is leaving. Fails with `SlashNotOpen`, `NotOpener` or `TooEarly`.
    function executeSlash(uint256 id) external nonReentrant {
        Slash storage slash = _openSlash(id);
        if (msg.sender != slash.opener) revert NotOpener(id, msg.sender);
        if (block.timestamp < slash.readyAt) revert TooEarly(slash.readyAt);
        slash.state = SlashState.Executed;
        uint128 taken = _take(_positions[slash.account], slash.amount);
        uint128 bounty = slash.beneficiary == address(0) ? 0 : uint128(uint256(taken) * bountyPpm / PPM);
        emit SlashExecuted(id, slash.account, taken, bounty);
        if (bounty != 0) token.safeTransfer(slash.beneficiary, bounty);
        if (taken != bounty) token.safeTransfer(treasury, taken - bounty);
    }

    // ---- guardian ----

    /// @notice Stops deposits and new slashes. Only GUARDIAN.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        _pause();
    }

    /// @notice Lets deposits and new slashes go on. Only GUARDIAN.
    function unpause() external onlyRole(GUARDIAN_ROLE) {
        _unpause();
    }

    // ---- views ----

    /// @notice Active stake of an account, in micro-ESM: what counts. An open slash does not lower it.
    function stakeOf(address account) external view returns (uint128) {
        return _positions[account].active;
    }

    /// @notice What of the account's stake open slashes reserve, in micro-ESM; never above what it has.
    function reservedOf(address account) external view returns (uint128) {
        return _reserved(_positions[account]);
    }

    /// @notice Stake, active and leaving, that no open slash reserves, in micro-ESM.
    function freeOf(address account) external view returns (uint128) {
        return _free(_positions[account]);
    }

    /// @notice Everything about an account.
    function positionOf(address account) external view returns (Position memory) {
        return _positions[account];
    }

    /// @notice Everything about a slash; all zero if there is none of that number.
    function slashOf(uint256 id) external view returns (Slash memory) {
        return _slashes[id];
    }

    /// @inheritdoc IStakeVault
    function slashState(uint256 id) external view returns (SlashState) {
        return _slashes[id].state;
    }

    // ---- inside ----

    /// @dev Books the stake, then collects it and refuses a token that delivers another amount.
    function _stake(address account, uint128 amount) private {
        if (amount == 0) revert ZeroAmount();
        _positions[account].active += amount;
        totalHeld += amount;
        emit Staked(account, msg.sender, amount);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert WrongTransfer(amount, received);
    }

    /// @dev Ends the reservation of `amount` and takes what of it is there.
    function _take(Position storage position, uint128 amount) private returns (uint128 taken) {
        position.claimed -= amount;
        taken = _min(amount, position.active + position.leaving);
        uint128 fromActive = _min(taken, position.active);
        position.active -= fromActive;
        position.leaving -= taken - fromActive;
        totalHeld -= taken;
    }

    function _openSlash(uint256 id) private view returns (Slash storage slash) {
        slash = _slashes[id];
        if (slash.state != SlashState.Open) revert SlashNotOpen(id, slash.state);
    }

    function _reserved(Position storage position) private view returns (uint128) {
        return _min(position.claimed, position.active + position.leaving);
    }

    function _free(Position storage position) private view returns (uint128) {
        return position.active + position.leaving - _reserved(position);
    }

    function _min(uint128 a, uint128 b) private pure returns (uint128) {
        return SafeCast.toUint128(Math.min(a, b));
    }
}
