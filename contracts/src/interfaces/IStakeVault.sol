// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What the court asks of the vault that holds stake.
/// @notice A slash reserves stake the moment it is opened, so that nobody walks away from a case. It ends
///         exactly once: executed (the stake is lost) or cancelled (the stake is free again).
interface IStakeVault {
    /// @notice Where a slash stands. `None` means that no slash has this number.
    enum SlashState {
        None,
        Open,
        Executed,
        Cancelled
    }

    /// @notice Reserves `amount` of `account`'s stake, active or leaving. Only SLASHER.
    /// @param account Whose stake.
    /// @param amount How much, in millionths of a token; not above what the account has, active and leaving. Open
    ///        slashes may claim the same stake: what is executed first takes first, a later one what is left.
    /// @param evidence Hash of what is said against the account.
    /// @param beneficiary Who receives the bounty if the slash is executed; zero for nobody.
    /// @return id Number of the slash.
    function openSlash(address account, uint128 amount, bytes32 evidence, address beneficiary)
        external
        returns (uint256 id);

    /// @notice Frees the reserved stake. Only the slash's opener (also after it lost SLASHER, so that its open
    ///         cases can close) or GUARDIAN.
    function cancelSlash(uint256 id) external;

    /// @notice Takes the reserved stake: the bounty to the beneficiary, the rest to the treasury. Only the
    ///         slash's opener, which is the court and lets anybody ask for it once the case is final; not before
    ///         `slashWindow()` seconds have passed since the opening. Pausing does not block it.
    function executeSlash(uint256 id) external;

    /// @notice Where slash `id` stands.
    function slashState(uint256 id) external view returns (SlashState);

    /// @notice Seconds between the opening of a slash and its earliest execution.
    function slashWindow() external view returns (uint64);
}
