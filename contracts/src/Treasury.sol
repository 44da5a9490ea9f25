// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Holds slashed stake, forfeited bonds and the treasury's share of the rewards.
/// @notice Promise: tokens leave only by `spend`, and only its owner, the timelock, can call it. Anybody may send
///         tokens in; they are recorded by the token's own transfer events.
contract Treasury is Ownable2Step {
    using SafeERC20 for IERC20;

    /// @notice Tokens left the treasury.
    /// @param token Which token.
    /// @param to Who received them.
    /// @param amount How many, in the token's smallest unit.
    /// @param purpose Hash of the decision that this pays for.
    event Spent(IERC20 indexed token, address indexed to, uint256 amount, bytes32 purpose);

    /// @param timelock The only spender.
    constructor(address timelock) Ownable(timelock) {}

    /// @notice Sends tokens out. Only the timelock.
    /// @param token Which token.
    /// @param to Who receives them.
    /// @param amount How many, in the token's smallest unit.
    /// @param purpose Hash of the decision that this pays for.
    function spend(IERC20 token, address to, uint256 amount, bytes32 purpose) external onlyOwner {
        emit Spent(token, to, amount, purpose);
        token.safeTransfer(to, amount);
    }
}
