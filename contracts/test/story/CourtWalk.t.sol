// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {CourtStory} from "./CourtStory.sol";

/// Random walks over all that can be done to stake cases, with jumps to each deadline and to the second after it.
/// After each step the books are right, and in the end every case can be closed by a stranger.
contract CourtWalkTest is CourtStory {
    uint256 private constant WALKS = 160;
    uint256 private constant STEPS = 80;
    /// Fewest times, over all walks, that each action must have gone through: or the walks prove nothing.
    uint256 private constant FLOOR = 15;

    uint256 private dice;
    /// Successes by action.
    uint256[10] private done;
    /// Closed cases by outcome.
    uint256[6] private ends;

    function test_any_walk_keeps_the_books_and_every_case_can_be_closed() public {
        vm.pauseGasMetering();
        for (uint256 walk = 0; walk < WALKS; ++walk) {
            (dice, members, keys) = (uint256(keccak256(abi.encode("walk", walk))), new address[](0), new uint256[](0));
            setUp();
            for (uint256 i = 0; i < STEPS; ++i) {
                _step();
                _check();
            }
            _closeAll();
        }
        for (uint256 i = 0; i < done.length; ++i) require(done[i] >= FLOOR, string.concat("too few successes of action ", Strings.toString(i), ": ", Strings.toString(done[i])));
        for (uint256 i = 1; i < ends.length; ++i) require(ends[i] >= FLOOR, string.concat("too few ends of outcome ", Strings.toString(i), ": ", Strings.toString(ends[i])));
    }

    function _roll(uint256 sides) private returns (uint256) {
        dice = uint256(keccak256(abi.encode(dice)));
        return dice % sides;
    }

    function _step() private {
        uint256 action = _roll(10);
        uint256 id = _pick(action);
        if (action == 0) _accuse(_roll(2) == 0 ? ANN : EVE, uint128(1 + _roll(20)) * ESM);
        else if (action == 1) _try(1, BOB, abi.encodeCall(court.respond, (id, "answer")));
        else if (action == 2) _vote(id, true);
        else if (action == 3) _vote(id, false);
        else if (action == 4) _try(4, BOB, abi.encodeCall(court.appeal, (id, 0)));
        else if (action == 5) _try(5, TIMELOCK, abi.encodeCall(court.ruleAppeal, (id, _roll(2) == 0)));
        else if (action == 6) _try(6, ANN, abi.encodeCall(court.execute, (id)));
        else if (action == 7) _try(7, EVE, abi.encodeCall(court.expire, (id)));
        else if (action == 8 && _roll(5) == 0) _try(8, GUARDIAN, abi.encodeCall(court.cancelCase, (id)));
        else if (action == 9 && _roll(2) == 0) _jump(id);
    }

    /// A case at random; three times of four one that stands where the action begins, if there is any.
    function _pick(uint256 action) private returns (uint256) {
        uint256 count = court.caseCount();
        if (count == 0) return 1;
        uint256 first = _roll(count);
        if (_roll(4) == 0) return 1 + first;
        for (uint256 i = 0; i < count; ++i) {
            uint256 id = 1 + (first + i) % count;
            State state = court.caseOf(id).state;
            bool unruled = state == State.Open || state == State.Answered;
            bool fits = action == 4
                ? state == State.Guilty
                : action == 5 ? state == State.Appealed : action == 6 ? !unruled && state != State.Closed : unruled;
            if (fits) return id;
        }
        return 1 + first;
    }

    function _accuse(address who, uint128 amount) private {
        if (_roll(3) == 0) _try(0, who, abi.encodeCall(court.openCase, (BOB, amount, 0)));
    }

    function _vote(uint256 id, bool guilty) private {
        uint64 number = court.committee();
        bytes memory call =
            abi.encodeCall(court.rule, (id, guilty, REASONS, number, type(uint64).max, _ballots(id, guilty, 0, 3)));
        _try(guilty ? 2 : 3, EVE, call);
    }

    /// To one of a case's deadlines, or the second after it.
    function _jump(uint256 id) private {
        Case memory c = court.caseOf(id);
        uint256 goal = (c.answerUntil > block.timestamp ? c.answerUntil : c.deadline) + _roll(2);
        if (goal <= block.timestamp) return;
        vm.warp(goal);
        ++done[9];
    }

    function _try(uint256 action, address who, bytes memory call) private {
        vm.prank(who);
        (bool ok,) = address(court).call(call);
        if (ok) ++done[action];
    }

    function _check() private view {
        _books();
        uint128 held;
        for (uint256 id = 1; id <= court.caseCount(); ++id) {
            Case memory c = court.caseOf(id);
            if (c.state == State.Closed) continue;
            held += c.bond + c.appealBond;
            require(vault.slashState(c.slashId) == IStakeVault.SlashState.Open, "an open case without its slash");
        }
        require(held == court.bondsHeld(), "held is not the sum of the open cases");
        uint256 all = token.balanceOf(ANN) + token.balanceOf(BOB) + token.balanceOf(EVE) + token.balanceOf(TREASURY)
            + token.balanceOf(address(court)) + token.balanceOf(address(vault));
        require(all == 400 * ESM, "money came or went");
        require(token.balanceOf(address(vault)) == vault.totalHeld(), "the vault's books");
    }

    /// Long after, a stranger closes what is open.
    function _closeAll() private {
        vm.warp(block.timestamp + 1000);
        for (uint256 id = 1; id <= court.caseCount(); ++id) {
            State state = court.caseOf(id).state;
            if (state == State.Guilty || state == State.Appealed) _by(EVE, abi.encodeCall(court.execute, (id)), "");
            else if (state != State.Closed) _by(EVE, abi.encodeCall(court.expire, (id)), "");
            ++ends[uint256(court.caseOf(id).outcome)];
        }
        require(court.bondsHeld() == 0 && vault.reservedOf(BOB) == 0, "something is left");
        _check();
    }
}
