// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EssaimTimelock} from "../../src/EssaimTimelock.sol";
import {CourtStory} from "./CourtStory.sol";

/// The delayed hand over a court: what it does, after how long, and who can stop it.
contract TimelockTest is CourtStory {
    uint256 private constant DELAY = 20;
    address private constant PROPOSER = address(0x9409);

    EssaimTimelock private timelock;

    /// Hands the court over, as WIRING.md says.
    function _handOver() private {
        address[] memory proposers = new address[](1);
        proposers[0] = PROPOSER;
        timelock = new EssaimTimelock(DELAY, proposers, new address[](1), GUARDIAN);
        bytes32 admin = court.DEFAULT_ADMIN_ROLE();
        _by(TIMELOCK, abi.encodeCall(court.grantRole, (admin, address(timelock))), "");
        _by(TIMELOCK, abi.encodeCall(court.renounceRole, (admin, TIMELOCK)), "");
    }

    function test_the_timelock_seats_a_committee_after_its_delay() public {
        _handOver();
        bytes memory call = abi.encodeCall(court.setCommittee, (members, 4));
        require(_ask(PROPOSER, abi.encodeCall(timelock.schedule, (address(court), 0, call, 0, 0, DELAY))), "scheduled");
        bytes memory execute = abi.encodeCall(timelock.execute, (address(court), 0, call, 0, 0));
        vm.warp(START + DELAY - 1);
        require(!_ask(EVE, execute), "too early");
        vm.warp(START + DELAY);
        require(_ask(EVE, execute) && court.committee() == 2 && court.threshold() == 4, "by anybody, when due");
        require(!_ask(EVE, execute), "once");
    }

    function test_the_guardian_cancels_but_neither_proposes_nor_hurries() public {
        _handOver();
        bytes memory call = abi.encodeCall(court.setCommittee, (members, 4));
        bytes memory schedule = abi.encodeCall(timelock.schedule, (address(court), 0, call, 0, 0, DELAY));
        require(!_ask(GUARDIAN, schedule) && !_ask(EVE, schedule), "only the proposer");
        require(!_ask(PROPOSER, abi.encodeCall(timelock.schedule, (address(court), 0, call, 0, 0, DELAY - 1))), "delay");
        require(_ask(PROPOSER, schedule), "scheduled");
        bytes32 id = timelock.hashOperation(address(court), 0, call, 0, 0);
        require(!_ask(EVE, abi.encodeCall(timelock.cancel, (id))), "not by a stranger");
        require(_ask(GUARDIAN, abi.encodeCall(timelock.cancel, (id))), "cancelled");
        vm.warp(START + DELAY);
        require(!_ask(EVE, abi.encodeCall(timelock.execute, (address(court), 0, call, 0, 0))), "gone");
    }

    function test_nobody_but_the_timelock_rules_its_roles() public {
        _handOver();
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        require(timelock.hasRole(admin, address(timelock)) && !timelock.hasRole(admin, address(this)), "its own admin");
        bytes memory grant = abi.encodeCall(timelock.grantRole, (timelock.PROPOSER_ROLE(), EVE));
        require(!_ask(PROPOSER, grant) && !_ask(GUARDIAN, grant) && !_ask(address(this), grant), "refused");
        require(!_ask(EVE, abi.encodeCall(timelock.updateDelay, (0))), "delay");
    }

    function test_an_appeal_is_heard_by_the_timelock() public {
        _handOver();
        uint256 id = _accuse();
        _by(BOB, abi.encodeCall(court.respond, (id, 0)), "");
        _rule(id, true);
        _by(BOB, abi.encodeCall(court.appeal, (id, 0)), "");
        bytes memory call = abi.encodeCall(court.ruleAppeal, (id, true));
        require(_ask(PROPOSER, abi.encodeCall(timelock.schedule, (address(court), 0, call, 0, 0, DELAY))), "scheduled");
        vm.warp(START + DELAY);
        require(_ask(EVE, abi.encodeCall(timelock.execute, (address(court), 0, call, 0, 0))), "heard in time");
        require(court.caseOf(id).outcome == Outcome.Overturned, "overturned");
    }

    function test_a_timelock_needs_a_proposer_who_is_not_the_guardian() public {
        address[] memory proposers = new address[](1);
        proposers[0] = GUARDIAN;
        try new EssaimTimelock(DELAY, proposers, new address[](1), GUARDIAN) {
            require(false, "the guardian proposes");
        } catch (bytes memory data) {
            require(bytes4(data) == EssaimTimelock.GuardianProposes.selector, "guardian");
        }
        try new EssaimTimelock(DELAY, new address[](0), new address[](1), GUARDIAN) {
            require(false, "nobody proposes");
        } catch (bytes memory data) {
            require(bytes4(data) == EssaimTimelock.NoProposer.selector, "nobody");
        }
    }

    function _ask(address who, bytes memory call) private returns (bool ok) {
        vm.prank(who);
        (ok,) = address(timelock).call(call);
    }
}
