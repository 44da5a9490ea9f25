// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IEpochRewards} from "./interfaces/IEpochRewards.sol";

/// @title Pays what the ledger credits: one cumulative Merkle root per epoch, claimed by proof.
/// @notice Promise: an account is paid, in all, at most its lifetime total in a root that has passed its dispute
///         window; a root is accepted only if the contract can pay all that it promises; a voided root pays nobody
///         and leaves the live one as it was. Pausing stops new roots, never a claim.
/// @dev Leaf: `keccak256(keccak256(abi.encode(uint256 chainid, address this, address account, uint256 lifetime)))`,
///      inner nodes over sorted pairs. Two roots are kept, the newest and the one before; posting overwrites the
///      older, so that an epoch writes no new slot.
///      Not seen on chain: whether the leaves sum to the total that is posted with them, and whether a lifetime fell.
///      A root of which that is not true is wrong, and the dispute window is there to challenge it.
contract EpochRewards is IEpochRewards, AccessControl, EIP712, Nonces, Pausable {
    using SafeERC20 for IERC20;

    /// @notice A root and what it promises.
    struct Posted {
        /// The Merkle root.
        bytes32 root;
        /// Sum of all lifetime totals in it, in micro-ESM.
        uint128 lifetimeTotal;
        /// The epoch that it closes.
        uint64 epoch;
        /// Second at which it was posted.
        uint64 postedAt;
    }

    /// @notice May post roots. Held by the coordinator's key.
    bytes32 public constant POSTER_ROLE = keccak256("POSTER_ROLE");
    /// @notice May hold and void a pending root. Held by the dispute court alone.
    bytes32 public constant COURT_ROLE = keccak256("COURT_ROLE");
    /// @notice May pause new roots and void a pending one.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    /// @notice The most epochs that one root may skip, so that no poster can use up all numbers.
    uint64 public constant EPOCHS_SKIPPED_MAX = 1_000;
    /// @notice The longest address of a payout file, in bytes.
    uint256 public constant URI_BYTES_MAX = 256;
    /// @dev What an account signs to be paid elsewhere.
    bytes32 private constant _CLAIM_TO =
        keccak256("ClaimTo(address account,address recipient,uint128 lifetime,uint256 nonce,uint256 deadline)");

    /// @notice The token that is paid.
    IERC20 public immutable token;
    /// @notice Seconds between the posting of a root and the first claim on it.
    uint64 public immutable disputeWindow;
    /// @notice Seconds by which challenges can put that off at most.
    uint64 public immutable holdWindow;

    // These share one slot with the pause flag.
    /// @dev Which of `_posted` is the newest root.
    uint8 private _newest;
    /// @dev Second from which the newest root is live.
    uint48 private _liveAt;
    /// @notice The lowest epoch that can be posted next.
    uint64 public nextEpoch;
    /// @notice Units that came in by `fund` so far, in micro-ESM. What was claimed is not subtracted.
    uint128 public funded;

    Posted[2] private _posted;
    /// @notice Units paid to an account so far, in micro-ESM.
    mapping(address account => uint128) public claimed;

    /// @notice Units came in to be claimed.
    /// @param payer Who paid.
    /// @param amount Units, in micro-ESM.
    event Funded(address indexed payer, uint128 amount);
    /// @notice A root was posted; it is pending until `liveAt`.
    /// @param epoch The epoch that it closes.
    /// @param root The Merkle root.
    /// @param lifetimeTotal Sum of all lifetime totals in it, in micro-ESM.
    /// @param fileHash Hash of the payout file from which anybody can rebuild the root.
    /// @param liveAt Second from which it can be claimed on.
    /// @param uri Where the payout file is.
    event RootPosted(
        uint64 indexed epoch, bytes32 root, uint128 lifetimeTotal, bytes32 fileHash, uint64 liveAt, string uri
    );
    /// @notice A challenge put off the pending root.
    /// @param epoch Its epoch.
    /// @param liveAt Second from which it can be claimed on now.
    event RootHeld(uint64 indexed epoch, uint64 liveAt);
    /// @notice The pending root was dropped.
    /// @param epoch Its epoch.
    /// @param root The root.
    event RootVoided(uint64 indexed epoch, bytes32 root);
    /// @notice An account was paid.
    /// @param account Whose reward it is.
    /// @param recipient Who received it.
    /// @param paid Units paid now, in micro-ESM.
    event Claimed(address indexed account, address recipient, uint128 paid);

    /// @notice An argument is zero.
    error ZeroArgument();
    /// @notice Epochs only grow.
    /// @param lowest The lowest epoch that can be posted.
    /// @param given The epoch that was given.
    error EpochTooLow(uint64 lowest, uint64 given);
    /// @notice Too many epochs are skipped.
    /// @param highest The highest epoch that can be posted.
    /// @param given The epoch that was given.
    error EpochTooHigh(uint64 highest, uint64 given);
    /// @notice The last root is still pending.
    /// @param epoch Its epoch.
    /// @param liveAt Second from which it is live.
    error RootPending(uint64 epoch, uint64 liveAt);
    /// @notice That epoch's root is not pending.
    /// @param epoch The epoch that was given.
    error RootNotPending(uint64 epoch);
    /// @notice Lifetime totals never fall.
    /// @param lowest Total of the live root, in micro-ESM.
    /// @param given Total that was given, in micro-ESM.
    error TotalFell(uint128 lowest, uint128 given);
    /// @notice The root promises more than was ever paid in.
    /// @param limit Units funded so far, in micro-ESM.
    /// @param given Total that was given, in micro-ESM.
    error NotFunded(uint256 limit, uint256 given);
    /// @notice The token paid out less, or more, than it was asked to.
    /// @param expected Units expected, in micro-ESM.
    /// @param received Units that came, in micro-ESM.
    error WrongTransfer(uint256 expected, uint256 received);
    /// @notice The payout file's address is too long.
    /// @param limit The most bytes.
    /// @param given The bytes given.
    error UriTooLong(uint256 limit, uint256 given);
    /// @notice The proof does not lead to the live root.
    /// @param root The live root; zero if there is none.
    error BadProof(bytes32 root);
    /// @notice The account has already been paid this lifetime total.
    /// @param claimed Units paid so far, in micro-ESM.
    /// @param lifetime Units claimed in all, in micro-ESM.
    error NothingDue(uint128 claimed, uint128 lifetime);
    /// @notice The signed claim has run out.
    /// @param deadline Second until which it held.
    error SignatureExpired(uint256 deadline);
    /// @notice The account did not sign this claim.
    /// @param account Whose signature is needed.
    error BadSignature(address account);

    /// @param token_ The token that is paid.
    /// @param disputeWindow_ Seconds between the posting of a root and the first claim on it.
    /// @param holdWindow_ Seconds by which challenges can put that off at most.
    /// @param admin Grants and revokes roles; the deployer hands this to the timelock.
    constructor(IERC20 token_, uint64 disputeWindow_, uint64 holdWindow_, address admin) EIP712("EpochRewards", "1") {
        if (address(token_) == address(0) || admin == address(0) || disputeWindow_ == 0 || holdWindow_ == 0) {
            revert ZeroArgument();
        }
        token = token_;
        disputeWindow = disputeWindow_;
        holdWindow = holdWindow_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    // ---- roots ----

    /// @notice Pays in what roots may promise. Anybody may call it; the contract needs the caller's allowance.
    ///         Nothing comes back out but by claims. Tokens sent without this call are not counted.
    /// @param amount Units, in micro-ESM. Fails with `ZeroArgument`.
    function fund(uint128 amount) external {
        if (amount == 0) revert ZeroArgument();
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert WrongTransfer(amount, received);
        funded += amount;
        emit Funded(msg.sender, amount);
    }

    /// @notice Posts the root of an epoch. Only POSTER. Epochs may be skipped, a cumulative root covers them.
    /// @param epoch From `nextEpoch` to `EPOCHS_SKIPPED_MAX` above it; a voided epoch is not posted again. Fails with
    ///        `EpochTooLow` or `EpochTooHigh`.
    /// @param root The Merkle root. Fails with `RootPending` while the last one is.
    /// @param lifetimeTotal Sum of all lifetime totals in it, in micro-ESM. Fails with `TotalFell` or `NotFunded`.
    /// @param fileHash Hash of the payout file.
    /// @param uri Where the payout file is; may be empty.
    function postRoot(uint64 epoch, bytes32 root, uint128 lifetimeTotal, bytes32 fileHash, string calldata uri)
        external
        onlyRole(POSTER_ROLE)
        whenNotPaused
    {
        if (root == bytes32(0)) revert ZeroArgument();
        if (bytes(uri).length > URI_BYTES_MAX) revert UriTooLong(URI_BYTES_MAX, bytes(uri).length);
        uint64 lowest = nextEpoch;
        if (epoch < lowest) revert EpochTooLow(lowest, epoch);
        if (epoch - lowest > EPOCHS_SKIPPED_MAX) revert EpochTooHigh(lowest + EPOCHS_SKIPPED_MAX, epoch);
        uint8 newest = _newest;
        if (block.timestamp < _liveAt) revert RootPending(_posted[newest].epoch, _liveAt);
        if (lifetimeTotal < _posted[newest].lifetimeTotal) {
            revert TotalFell(_posted[newest].lifetimeTotal, lifetimeTotal);
        }
        if (lifetimeTotal > funded) revert NotFunded(funded, lifetimeTotal);

        uint48 liveAt = SafeCast.toUint48(block.timestamp + disputeWindow);
        _newest = 1 - newest;
        _liveAt = liveAt;
        nextEpoch = epoch + 1;
        _posted[1 - newest] = Posted(root, lifetimeTotal, epoch, uint64(block.timestamp));
        emit RootPosted(epoch, root, lifetimeTotal, fileHash, liveAt, uri);
    }

    /// @inheritdoc IEpochRewards
    /// @dev Fails with `RootNotPending`.
    function holdPending(uint64 epoch, uint64 until) external onlyRole(COURT_ROLE) returns (uint64 liveAt) {
        Posted storage pending = _pending(epoch);
        uint256 limit = uint256(pending.postedAt) + disputeWindow + holdWindow;
        liveAt = until < limit ? until : SafeCast.toUint48(limit);
        if (liveAt < _liveAt) liveAt = _liveAt;
        _liveAt = SafeCast.toUint48(liveAt);
        emit RootHeld(epoch, liveAt);
    }

    /// @notice Drops the pending root. The live root stays as it is. Only COURT or GUARDIAN.
    /// @param epoch Its epoch. Fails with `RootNotPending`.
    function voidPending(uint64 epoch) external {
        if (!hasRole(GUARDIAN_ROLE, msg.sender)) _checkRole(COURT_ROLE);
        Posted storage pending = _pending(epoch);
        emit RootVoided(epoch, pending.root);
        // The slot before holds the live root; its window has passed.
        _newest = 1 - _newest;
        _liveAt = SafeCast.toUint48(block.timestamp);
    }

    // ---- claims ----

    /// @notice Pays an account what the live root credits it beyond what it has received. Anybody may call it.
    /// @param account Whose reward it is, and who receives it.
    /// @param lifetime Its lifetime total in the live root, in micro-ESM.
    /// @param proof Path from its leaf to the root. Fails with `BadProof` or `NothingDue`.
    /// @return paid Units paid, in micro-ESM.
    function claim(address account, uint128 lifetime, bytes32[] calldata proof) external returns (uint128 paid) {
        return _claim(account, account, lifetime, proof);
    }

    /// @notice As `claim`, but pays another address that the account named by an EIP-712 signature.
    /// @param account Whose reward it is.
    /// @param recipient Who receives it.
    /// @param lifetime The account's lifetime total in the live root, in micro-ESM.
    /// @param proof Path from its leaf to the root.
    /// @param deadline Second until which the signature holds. Fails with `SignatureExpired`.
    /// @param signature Over `ClaimTo(account, recipient, lifetime, nonce, deadline)`, by the account's key or
    ///        its ERC-1271 contract. Fails with `BadSignature`.
    /// @return paid Units paid, in micro-ESM.
    function claimTo(
        address account,
        address recipient,
        uint128 lifetime,
        bytes32[] calldata proof,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint128 paid) {
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(_CLAIM_TO, account, recipient, lifetime, _useNonce(account), deadline))
        );
        if (!SignatureChecker.isValidSignatureNowCalldata(account, digest, signature)) revert BadSignature(account);
        return _claim(account, recipient, lifetime, proof);
    }

    // ---- guardian ----

    /// @notice Stops new roots. Only GUARDIAN. A pending root goes on to become live; `voidPending` drops it.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        _pause();
    }

    /// @notice Lets new roots in again. Only GUARDIAN.
    function unpause() external onlyRole(GUARDIAN_ROLE) {
        _unpause();
    }

    // ---- views ----

    /// @inheritdoc IEpochRewards
    function pendingRoot() external view returns (uint64 epoch, bytes32 root, uint64 liveAt) {
        if (block.timestamp >= _liveAt) return (0, 0, 0);
        Posted storage pending = _posted[_newest];
        return (pending.epoch, pending.root, _liveAt);
    }

    /// @notice The root that claims are checked against; all zero if none has passed its window.
    function liveRoot() external view returns (Posted memory) {
        return _live();
    }

    /// @notice Units paid by claims so far, in micro-ESM; lower by what was sent here without `fund`, which nobody
    ///         can claim.
    function claimedTotal() external view returns (uint128) {
        uint256 held = token.balanceOf(address(this));
        return held < funded ? SafeCast.toUint128(funded - held) : 0;
    }

    /// @notice The name of a claim in the tree.
    /// @param account Whose reward it is.
    /// @param lifetime Its lifetime total, in micro-ESM.
    function leafOf(address account, uint128 lifetime) public view returns (bytes32) {
        return keccak256(
            bytes.concat(keccak256(abi.encode(block.chainid, address(this), account, uint256(lifetime))))
        );
    }

    // ---- inside ----

    function _claim(address account, address recipient, uint128 lifetime, bytes32[] calldata proof)
        private
        returns (uint128 paid)
    {
        bytes32 root = _live().root;
        if (root == bytes32(0) || !MerkleProof.verifyCalldata(proof, root, leafOf(account, lifetime))) {
            revert BadProof(root);
        }
        uint128 before = claimed[account];
        if (lifetime <= before) revert NothingDue(before, lifetime);
        paid = lifetime - before;
        claimed[account] = lifetime;
        emit Claimed(account, recipient, paid);
        token.safeTransfer(recipient, paid);
    }

    /// @dev The newest root once its window has passed, the one before until then.
    function _live() private view returns (Posted storage) {
        return (block.timestamp >= _liveAt) == (_newest == 0) ? _posted[0] : _posted[1];
    }

    function _pending(uint64 epoch) private view returns (Posted storage pending) {
        pending = _posted[_newest];
        if (block.timestamp >= _liveAt || pending.epoch != epoch) revert RootNotPending(epoch);
    }
}
