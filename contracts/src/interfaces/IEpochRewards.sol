// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What the court asks of the contract that pays rewards.
/// @notice A posted root is pending until its dispute window has passed. Only a pending root can be held or voided.
interface IEpochRewards {
    /// @notice The root that waits for its window, if any.
    /// @return epoch Its epoch.
    /// @return root Its Merkle root; zero when nothing is pending (none posted, voided, or already live).
    /// @return liveAt Second from which it is live.
    function pendingRoot() external view returns (uint64 epoch, bytes32 root, uint64 liveAt);

    /// @notice Puts off the second at which the pending root becomes live, so that a challenge can be heard. Only
    ///         COURT. Never earlier than it was, and never past the contract's own bound on how long a root may be
    ///         held: a later `until` is cut to that bound.
    /// @return liveAt Second from which the root is live now.
    function holdPending(uint64 epoch, uint64 until) external returns (uint64 liveAt);

    /// @notice Drops the pending root. The live root stays as it is. Only COURT.
    function voidPending(uint64 epoch) external;
}
