// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochRewards} from "./EpochRewards.sol";
import {EssaimToken} from "./EssaimToken.sol";

/// @title Mints each epoch's budget to the contract that pays rewards.
/// @notice Promise: epoch e is released once, after epoch e - 1, not before `startAt + e * interval`, and gives
///         exactly `budget(e) = first >> (e / halvingEpochs)`. Nobody sets anything: to change the schedule, the
///         timelock moves MINTER to another one.
/// @dev Anybody may release what is due. Released units lie in the rewards contract until a root promises them, so
///      releasing early in the ledger's eyes gives nobody anything.
contract EmissionSchedule {
    /// @notice The token that is minted.
    EssaimToken public immutable token;
    /// @notice Where the units go.
    EpochRewards public immutable rewards;
    /// @notice Budget of epoch 0, in micro-ESM.
    uint128 public immutable first;
    /// @notice Epochs after which the budget halves.
    uint64 public immutable halvingEpochs;
    /// @notice Seconds between two releases at least.
    uint64 public immutable interval;
    /// @notice Second from which epoch 0 may be released.
    uint64 public immutable startAt;

    /// @notice The epoch that is released next; all below it are released.
    uint64 public nextEpoch;
    /// @notice Units released so far, in micro-ESM.
    uint128 public released;

    /// @notice An epoch's budget was minted.
    /// @param epoch Which epoch.
    /// @param amount Its budget, in micro-ESM.
    event Released(uint64 indexed epoch, uint128 amount);

    /// @notice Epochs are released one after the other.
    /// @param expected The epoch that is next.
    /// @param given The epoch that was asked for.
    error NotNextEpoch(uint64 expected, uint64 given);
    /// @notice The epoch is not due yet.
    /// @param readyAt Second from which it is.
    error TooEarly(uint256 readyAt);
    /// @notice The whole schedule would not fit below the token's cap.
    /// @param limit Units that the cap leaves, in micro-ESM.
    /// @param given Units of the whole schedule, in micro-ESM.
    error ScheduleAboveCap(uint256 limit, uint256 given);
    /// @notice An argument of the constructor is zero.
    error ZeroArgument();

    /// @param token_ The token; this contract needs its MINTER role.
    /// @param rewards_ Where the units go.
    /// @param first_ Budget of epoch 0, in micro-ESM.
    /// @param halvingEpochs_ Epochs after which the budget halves.
    /// @param interval_ Seconds between two releases at least.
    constructor(EssaimToken token_, EpochRewards rewards_, uint128 first_, uint64 halvingEpochs_, uint64 interval_) {
        if (address(token_) == address(0) || address(rewards_) == address(0)) revert ZeroArgument();
        if (first_ == 0 || halvingEpochs_ == 0 || interval_ == 0) revert ZeroArgument();
        token = token_;
        rewards = rewards_;
        first = first_;
        halvingEpochs = halvingEpochs_;
        interval = interval_;
        startAt = uint64(block.timestamp);
        // The rewards contract collects what is minted here; it can collect from nobody else.
        token_.approve(address(rewards_), type(uint256).max);
        // At most 128 rounds, one per bit.
        uint256 all = 0;
        for (uint256 budget_ = first_; budget_ != 0; budget_ >>= 1) all += budget_ * halvingEpochs_;
        uint256 left = token_.cap() - token_.totalSupply();
        if (all > left) revert ScheduleAboveCap(left, all);
    }

    /// @notice Mints the budget of `epoch` to the rewards contract. Anybody may call it.
    /// @param epoch The next epoch. Fails with `NotNextEpoch` or `TooEarly`.
    /// @return amount Units minted, in micro-ESM; zero once the budget has halved away.
    function release(uint64 epoch) external returns (uint128 amount) {
        if (epoch != nextEpoch) revert NotNextEpoch(nextEpoch, epoch);
        uint256 readyAt = startAt + uint256(epoch) * interval;
        if (block.timestamp < readyAt) revert TooEarly(readyAt);
        amount = budget(epoch);
        nextEpoch = epoch + 1;
        released += amount;
        emit Released(epoch, amount);
        if (amount == 0) return 0;
        token.mint(address(this), amount);
        rewards.fund(amount);
    }

    /// @notice Budget of an epoch, in micro-ESM: `first >> (epoch / halvingEpochs)`.
    /// @param epoch Which epoch, counted from 0.
    function budget(uint64 epoch) public view returns (uint128) {
        return first >> (epoch / halvingEpochs);
    }
}
