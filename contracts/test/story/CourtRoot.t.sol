// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CourtStory} from "./CourtStory.sol";

/// Root cases, each told to its end. A root posted at START is live at START + 10, and at START + 40 if it is held
/// for as long as can be.
contract CourtRootTest is CourtStory {
    bytes32 private constant ROOT = "root";

    function test_a_wrong_root_is_held_and_voided() public {
        _post(0, ROOT);
        vm.warp(START + 9);
        uint256 id = _challenge(ANN, 0, ROOT);
        require(_liveAt() == START + 29, "held");
        vm.warp(START + 28);
        _rule(id, true);
        _purses(100, 100, 0);
        require(rewards.liveRoot().root == 0, "nothing live");
        _ended(id, Outcome.Convicted);
        _post(1, "better");
    }

    function test_a_right_root_goes_live_and_the_challenger_pays() public {
        _post(0, ROOT);
        uint256 id = _challenge(ANN, 0, ROOT);
        _rule(id, false);
        _purses(97, 100, 3);
        vm.warp(START + 20);
        require(rewards.liveRoot().root == ROOT, "live");
        _ended(id, Outcome.Acquitted);
    }

    function test_a_silent_committee_lets_the_root_go_live_and_gives_the_bond_back() public {
        _post(0, ROOT);
        uint256 id = _challenge(ANN, 0, ROOT);
        vm.warp(START + 19);
        _by(EVE, abi.encodeCall(court.expire, (id)), abi.encodeWithSelector(TooEarly.selector, START + 20, START + 19));
        vm.warp(START + 20);
        _ruleBy(id, true, _ballots(id, true, 0, 3), abi.encodeWithSelector(TooLate.selector, START + 19, START + 20));
        _by(EVE, abi.encodeCall(court.expire, (id)), "");
        _purses(100, 100, 0);
        _ended(id, Outcome.Expired);
    }

    function test_two_challenges_run_side_by_side_and_the_second_is_settled_by_the_first() public {
        _post(0, ROOT);
        uint256 first = _challenge(ANN, 0, ROOT);
        uint256 second = _challenge(EVE, 0, ROOT);
        _rule(second, true);
        bytes memory gone = abi.encodeWithSelector(NotPending.selector, 0, ROOT);
        _ruleBy(first, true, _ballots(first, true, 0, 3), gone);
        _by(EVE, abi.encodeCall(court.expire, (first)), "");
        _purses(100, 100, 0);
        _ended(first, Outcome.Expired);
    }

    function test_challenges_cannot_hold_a_root_for_ever() public {
        _post(0, ROOT);
        for (uint64 second = START; second < START + 40; second += 9) {
            vm.warp(second);
            _challenge(ANN, 0, ROOT);
        }
        require(_liveAt() == START + 40, "bounded");
        vm.warp(START + 40);
        require(rewards.liveRoot().root == ROOT, "live");
        bytes memory gone = abi.encodeWithSelector(NotPending.selector, 0, ROOT);
        _by(ANN, abi.encodeCall(court.challengeRoot, (0, ROOT, 0)), gone);
    }

    function test_only_the_pending_root_can_be_challenged() public {
        bytes memory gone = abi.encodeWithSelector(NotPending.selector, 0, bytes32(0));
        _by(ANN, abi.encodeCall(court.challengeRoot, (0, 0, 0)), gone);
        _post(0, ROOT);
        gone = abi.encodeWithSelector(NotPending.selector, 0, bytes32("other"));
        _by(ANN, abi.encodeCall(court.challengeRoot, (0, "other", 0)), gone);
        gone = abi.encodeWithSelector(NotPending.selector, 1, ROOT);
        _by(ANN, abi.encodeCall(court.challengeRoot, (1, ROOT, 0)), gone);
    }

    function test_a_root_case_has_no_answer_no_appeal_and_no_execution() public {
        _post(0, ROOT);
        uint256 id = _challenge(ANN, 0, ROOT);
        bytes memory refusal = abi.encodeWithSelector(WrongState.selector, id, State.Open);
        _by(address(0), abi.encodeCall(court.respond, (id, 0)), refusal);
        _by(BOB, abi.encodeCall(court.appeal, (id, 0)), refusal);
        _by(EVE, abi.encodeCall(court.execute, (id)), refusal);
        _by(GUARDIAN, abi.encodeCall(court.cancelCase, (id)), "");
        _purses(100, 100, 0);
        _ended(id, Outcome.Cancelled);
    }

    function _post(uint64 epoch, bytes32 root) private {
        vm.prank(POSTER);
        rewards.postRoot(epoch, root, 0, 0, "");
    }

    function _challenge(address who, uint64 epoch, bytes32 root) private returns (uint256) {
        vm.prank(who);
        return court.challengeRoot(epoch, root, "evidence");
    }

    function _liveAt() private view returns (uint64 liveAt) {
        (,, liveAt) = rewards.pendingRoot();
    }
}
