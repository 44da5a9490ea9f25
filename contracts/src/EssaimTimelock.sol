// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title The delayed hand that holds every administrative role.
/// @notice OpenZeppelin's TimelockController with two things fixed: nobody but the timelock itself is its
///         administrator, and the guardian may cancel what waits but neither propose nor execute.
contract EssaimTimelock is TimelockController {
    /// @notice Somebody must be able to propose, or nothing could ever change.
    error NoProposer();
    /// @notice The guardian stops things; it must not also start them.
    /// @param guardian The address given for both.
    error GuardianProposes(address guardian);

    /// @param minDelay Seconds between scheduling and executing.
    /// @param proposers Who schedules (and may cancel).
    /// @param executors Who executes what is due; the zero address means anybody.
    /// @param guardian Who may cancel besides the proposers; zero for nobody.
    constructor(uint256 minDelay, address[] memory proposers, address[] memory executors, address guardian)
        TimelockController(minDelay, proposers, executors, address(0))
    {
        if (proposers.length == 0) revert NoProposer();
        if (guardian == address(0)) return;
        if (hasRole(PROPOSER_ROLE, guardian)) revert GuardianProposes(guardian);
        _grantRole(CANCELLER_ROLE, guardian);
    }
}
