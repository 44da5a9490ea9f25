// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Committee} from "../../src/Committee.sol";
import {CourtStory, Machine} from "./CourtStory.sol";

/// Stake cases, each told to its end. Everybody begins with 100 ESM in the purse, Bob with 100 at stake.
contract CourtStakeTest is CourtStory {
    function test_a_conviction_takes_the_stake_and_pays_the_bounty_after_the_time_to_appeal() public {
        uint256 id = _accuse();
        _purses(95, 100, 0);
        require(vault.freeOf(BOB) == 50 * ESM, "reserved at once");
        vm.warp(START + 5);
        _ruleBy(id, true, _ballots(id, true, 0, 3), _early(START + 6));
        vm.warp(START + 6);
        _rule(id, true);
        vm.warp(START + 16);
        _by(EVE, abi.encodeCall(court.execute, (id)), _early(START + 17));
        vm.warp(START + 17);
        _by(EVE, abi.encodeCall(court.execute, (id)), "");
        // bounty 40 % of 50
        _purses(120, 100, 30);
        require(vault.stakeOf(BOB) == 50 * ESM, "stake lost");
        _ended(id, Outcome.Convicted);
    }

    function test_an_acquittal_frees_the_stake_and_shares_the_bond() public {
        uint256 id = _accuse();
        _by(EVE, abi.encodeCall(court.respond, (id, "no")), abi.encodeWithSelector(NotAccused.selector, BOB, EVE));
        _by(BOB, abi.encodeCall(court.respond, (id, "no")), "");
        _by(BOB, abi.encodeCall(court.respond, (id, "no")), _state(id, State.Answered));
        _rule(id, false); // at once, since he answered
        require(vault.freeOf(BOB) == 100 * ESM, "free");
        require(token.balanceOf(BOB) == 100 * ESM + 5 * ESM / 2 && token.balanceOf(TREASURY) == 5 * ESM / 2, "shares");
        _ended(id, Outcome.Acquitted);
    }

    function test_a_silent_committee_costs_nobody_anything() public {
        uint256 id = _accuse();
        vm.warp(START + 6);
        _by(BOB, abi.encodeCall(court.respond, (id, "no")), _late(START + 5));
        vm.warp(START + 35);
        _by(EVE, abi.encodeCall(court.expire, (id)), _early(START + 36));
        vm.warp(START + 36);
        _ruleBy(id, true, _ballots(id, true, 0, 3), _late(START + 35));
        _by(EVE, abi.encodeCall(court.expire, (id)), "");
        _purses(100, 100, 0);
        require(vault.freeOf(BOB) == 100 * ESM, "free");
        _ended(id, Outcome.Expired);
    }

    function test_an_upheld_appeal_overturns() public {
        uint256 id = _appealed();
        _by(EVE, abi.encodeCall(court.execute, (id)), _early(START + 57));
        _by(EVE, abi.encodeCall(court.ruleAppeal, (id, true)), _role(EVE, 0));
        _by(TIMELOCK, abi.encodeCall(court.ruleAppeal, (id, true)), "");
        require(token.balanceOf(ANN) == 95 * ESM && token.balanceOf(BOB) == 100 * ESM + 5 * ESM / 2, "shares");
        require(vault.freeOf(BOB) == 100 * ESM, "free");
        _ended(id, Outcome.Overturned);
    }

    function test_a_dismissed_appeal_costs_its_bond_too() public {
        uint256 id = _appealed();
        _by(TIMELOCK, abi.encodeCall(court.ruleAppeal, (id, false)), "");
        _purses(120, 95, 35);
        _ended(id, Outcome.Convicted);
    }

    function test_an_appeal_that_nobody_hears_leaves_the_conviction_and_gives_its_bond_back() public {
        uint256 id = _appealed();
        vm.warp(START + 57);
        _by(TIMELOCK, abi.encodeCall(court.ruleAppeal, (id, true)), _late(START + 56));
        _by(EVE, abi.encodeCall(court.execute, (id)), "");
        _purses(120, 100, 30);
        _ended(id, Outcome.Convicted);
    }

    function test_appeals_are_for_the_accused_and_in_time() public {
        uint256 id = _accuse();
        _by(BOB, abi.encodeCall(court.appeal, (id, 0)), _state(id, State.Open));
        vm.warp(START + 6);
        _rule(id, true);
        _by(ANN, abi.encodeCall(court.appeal, (id, 0)), abi.encodeWithSelector(NotAccused.selector, BOB, ANN));
        vm.warp(START + 17);
        _by(BOB, abi.encodeCall(court.appeal, (id, 0)), _late(START + 16));
    }

    function test_the_guardian_cancels_and_all_bonds_go_back() public {
        uint256 id = _appealed();
        _by(EVE, abi.encodeCall(court.cancelCase, (id)), _role(EVE, court.GUARDIAN_ROLE()));
        _by(GUARDIAN, abi.encodeCall(court.cancelCase, (id)), "");
        _purses(100, 100, 0);
        require(vault.freeOf(BOB) == 100 * ESM, "free");
        _ended(id, Outcome.Cancelled);
    }

    function test_a_slash_cancelled_in_the_vault_still_lets_the_case_close() public {
        uint256 id = _accuse();
        vm.prank(GUARDIAN);
        vault.cancelSlash(1);
        vm.warp(START + 6);
        _rule(id, true);
        vm.warp(START + 17);
        _by(EVE, abi.encodeCall(court.execute, (id)), "");
        _purses(100, 100, 0);
        require(vault.stakeOf(BOB) == 100 * ESM, "kept");
        _ended(id, Outcome.Convicted);
    }

    function test_a_court_that_lost_its_role_still_closes_its_cases() public {
        uint256 first = _accuse();
        uint256 second = _accuse();
        vault.revokeRole(vault.SLASHER_ROLE(), address(court));
        _by(BOB, abi.encodeCall(court.respond, (first, 0)), "");
        _rule(first, true);
        vm.warp(START + 36);
        _by(EVE, abi.encodeCall(court.execute, (first)), "");
        _by(EVE, abi.encodeCall(court.expire, (second)), "");
        _purses(120, 100, 30);
    }

    function test_pausing_stops_new_cases_only() public {
        uint256 id = _accuse();
        _by(GUARDIAN, abi.encodeCall(court.pause, ()), "");
        bytes memory paused = abi.encodeWithSelector(Pausable.EnforcedPause.selector);
        _by(ANN, abi.encodeCall(court.openCase, (BOB, ESM, 0)), paused);
        _by(ANN, abi.encodeCall(court.challengeRoot, (0, 0, 0)), paused);
        _by(BOB, abi.encodeCall(court.respond, (id, 0)), "");
        _rule(id, true);
        _by(BOB, abi.encodeCall(court.appeal, (id, 0)), "");
        vm.warp(START + 41);
        _by(EVE, abi.encodeCall(court.execute, (id)), "");
        _by(GUARDIAN, abi.encodeCall(court.unpause, ()), "");
        _accuse();
    }

    function test_ballots_must_be_enough_sorted_seated_impartial_and_signed() public {
        uint256 id = _accuse();
        vm.warp(START + 6);
        _ruleBy(id, true, _ballots(id, true, 0, 2), abi.encodeWithSelector(Committee.Ballots.selector, 3, 4, 2));
        Committee.Ballot[] memory b = _ballots(id, true, 0, 3);
        (b[0], b[1]) = (b[1], b[0]);
        _ruleBy(id, true, b, abi.encodeWithSelector(Committee.NotAscending.selector, members[1], members[0]));
        b = _ballots(id, true, 0, 3);
        b[1] = b[0];
        _ruleBy(id, true, b, abi.encodeWithSelector(Committee.NotAscending.selector, members[0], members[0]));
        b = _ballots(id, true, 0, 3);
        b[2].member = address(type(uint160).max);
        _ruleBy(id, true, b, abi.encodeWithSelector(Committee.NotMember.selector, b[2].member));
        // signed for the opposite
        b = _ballots(id, false, 0, 3);
        bytes32 digest = court.rulingDigest(id, true, REASONS, 1, type(uint64).max);
        _ruleBy(id, true, b, abi.encodeWithSelector(Committee.BadBallot.selector, members[0], digest));
        // a longer life than was signed
        b = _ballots(id, true, 0, 3);
        uint64 until = START + 5;
        _by(EVE, abi.encodeCall(court.rule, (id, true, REASONS, 1, until, b)), _late(until));
        _ruleBy(id, true, _ballots(id, true, 0, 4), ""); // all four, one of them a contract
    }

    function test_a_ruling_for_an_old_committee_is_worth_nothing() public {
        uint256 id = _accuse();
        vm.warp(START + 6);
        Committee.Ballot[] memory b = _ballots(id, true, 0, 3);
        _by(EVE, abi.encodeCall(court.setCommittee, (members, 3)), _role(EVE, 0));
        _by(TIMELOCK, abi.encodeCall(court.setCommittee, (members, 3)), "");
        bytes memory other = abi.encodeWithSelector(Committee.OtherCommittee.selector, 2, 1);
        _by(EVE, abi.encodeCall(court.rule, (id, true, REASONS, 1, type(uint64).max, b)), other);
        bytes32 digest = court.rulingDigest(id, true, REASONS, 2, type(uint64).max);
        _ruleBy(id, true, b, abi.encodeWithSelector(Committee.BadBallot.selector, members[0], digest));
        _rule(id, true);
    }

    function test_a_member_does_not_rule_in_its_own_case() public {
        uint256 i = keys[0] == 0 ? 1 : 0;
        address member = members[i];
        vault.stakeFor(member, 10 * ESM);
        vm.prank(ANN);
        uint256 id = court.openCase(member, ESM, 0);
        vm.warp(START + 6);
        bytes memory party = abi.encodeWithSelector(Committee.MemberIsParty.selector, member);
        _ruleBy(id, false, _ballots(id, false, 0, 3), party);
        // nor in one that it brought
        token.transfer(member, 10 * ESM);
        vm.prank(member);
        token.approve(address(court), type(uint256).max);
        vm.prank(member);
        id = court.openCase(BOB, ESM, 0);
        vm.warp(START + 12);
        _ruleBy(id, true, _ballots(id, true, 0, 3), party);
    }

    function test_committees_are_majorities_of_sorted_members() public {
        bytes memory bounds = abi.encodeWithSelector(Committee.Threshold.selector, 3, 4, 2);
        _by(TIMELOCK, abi.encodeCall(court.setCommittee, (members, 2)), bounds);
        bounds = abi.encodeWithSelector(Committee.Threshold.selector, 3, 4, 5);
        _by(TIMELOCK, abi.encodeCall(court.setCommittee, (members, 5)), bounds);
        bounds = abi.encodeWithSelector(Committee.CommitteeSize.selector, 32, 33);
        _by(TIMELOCK, abi.encodeCall(court.setCommittee, (new address[](33), 20)), bounds);
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (BOB, BOB);
        bounds = abi.encodeWithSelector(Committee.NotAscending.selector, BOB, BOB);
        _by(TIMELOCK, abi.encodeCall(court.setCommittee, (twice, 2)), bounds);
    }

    function test_nobody_accuses_himself_for_nothing_or_above_the_stake() public {
        _by(BOB, abi.encodeCall(court.openCase, (BOB, ESM, 0)), abi.encodeWithSelector(SelfAccused.selector, BOB));
        _by(ANN, abi.encodeCall(court.openCase, (BOB, 0, 0)), abi.encodeWithSelector(NoAmount.selector));
        bytes memory above = abi.encodeWithSignature("NotEnoughStake(uint128,uint128)", 100 * ESM, 101 * ESM);
        _by(ANN, abi.encodeCall(court.openCase, (BOB, 101 * ESM, 0)), above);
        require(court.bondFor(ESM) == 2 * ESM && court.bondFor(50 * ESM) == 5 * ESM, "bonds");
    }

    /// Convicted at START + 6, appealed at START + 16.
    function _appealed() private returns (uint256 id) {
        id = _accuse();
        vm.warp(START + 6);
        _rule(id, true);
        vm.warp(START + 16);
        _by(BOB, abi.encodeCall(court.appeal, (id, "why")), "");
        _purses(95, 95, 0);
    }

    function _early(uint64 readyAt) private view returns (bytes memory) {
        return abi.encodeWithSelector(TooEarly.selector, readyAt, block.timestamp);
    }

    function _late(uint64 deadline) private view returns (bytes memory) {
        return abi.encodeWithSelector(TooLate.selector, deadline, block.timestamp);
    }

    function _state(uint256 id, State state) private pure returns (bytes memory) {
        return abi.encodeWithSelector(WrongState.selector, id, state);
    }

    function _role(address who, bytes32 role) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, who, role);
    }
}
