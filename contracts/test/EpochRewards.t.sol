// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochRewards} from "../src/EpochRewards.sol";
import {Coin, Properties} from "./Properties.sol";

/// What no amounts, times, proofs and callers can make the rewards do.
contract EpochRewardsProperties is Properties {
    uint64 private constant WINDOW = 1 days;
    uint64 private constant HOLD = 2 days;
    uint128 private constant FUNDS = 1_000_000_000;

    EpochRewards private rewards;

    function setUp() public {
        vm.warp(START);
        coin = new Coin(SUPPLY);
        rewards = new EpochRewards(coin, WINDOW, HOLD, address(this));
        rewards.grantRole(rewards.POSTER_ROLE(), POSTER);
        rewards.grantRole(rewards.COURT_ROLE(), COURT);
        rewards.grantRole(rewards.GUARDIAN_ROLE(), GUARDIAN);
        coin.approve(address(rewards), FUNDS);
        rewards.fund(FUNDS);
    }

    function _post(uint64 epoch, bytes32 root, uint128 total) private returns (bool) {
        vm.prank(POSTER);
        try rewards.postRoot(epoch, root, total, 0, "") {
            return true;
        } catch {
            return false;
        }
    }

    function _claim(address account, uint128 lifetime, bytes32[] memory proof) private returns (bool) {
        try rewards.claim(account, lifetime, proof) returns (uint128) {
            return true;
        } catch {
            return false;
        }
    }

    /// A proof of up to two hashes. Its length is fixed on each branch, as the solver needs it.
    function _path(uint8 length, bytes32 one, bytes32 two) private pure returns (bytes32[] memory proof) {
        if (length == 0) return new bytes32[](0);
        if (length == 1) {
            proof = new bytes32[](1);
        } else {
            proof = new bytes32[](2);
            proof[1] = two;
        }
        proof[0] = one;
    }

    /// A root of one leaf pays that leaf and no other, whatever the proof: the sum claimed is the root's.
    function check_only_the_leaf_is_paid(address account, uint128 lifetime, uint8 length, bytes32 one, bytes32 two)
        public
    {
        assert(_post(0, rewards.leafOf(ALICE, 700), 700));
        vm.warp(START + WINDOW);
        if (_claim(account, lifetime, _path(length, one, two))) {
            assert(account == ALICE && lifetime == 700 && length == 0);
            assert(coin.balanceOf(ALICE) == 700 && rewards.claimedTotal() == 700);
        } else {
            assert(rewards.claimedTotal() == 0 && coin.balanceOf(address(rewards)) == FUNDS);
        }
    }

    /// Over two epochs an account receives its last lifetime total and never more, whenever and how often it claims.
    function check_lifetime_claims_never_exceed_the_root(uint128 first, uint128 second, bool early, bool twice) public {
        vm.assume(first <= FUNDS && second <= FUNDS && first <= second);
        bytes32[] memory none = new bytes32[](0);
        assert(_post(0, rewards.leafOf(ALICE, first), first));
        vm.warp(START + WINDOW);
        if (early) _claim(ALICE, first, none);
        if (twice) _claim(ALICE, first, none);
        assert(coin.balanceOf(ALICE) <= first);
        assert(_post(1, rewards.leafOf(ALICE, second), second));
        vm.warp(START + 2 * WINDOW);
        _claim(ALICE, second, none);
        if (twice) _claim(ALICE, second, none);
        assert(coin.balanceOf(ALICE) == second && rewards.claimed(ALICE) == second);
    }

    /// A pending root pays nobody before its window has passed, to the second; the live one goes on paying.
    function check_pending_root_waits(uint64 wait) public {
        bytes32[] memory none = new bytes32[](0);
        assert(_post(0, rewards.leafOf(ALICE, 5), 5));
        vm.warp(START + WINDOW);
        assert(_post(1, rewards.leafOf(BOB, 9), 9));
        vm.warp(START + WINDOW + wait);
        assert(_claim(ALICE, 5, none) == (wait < WINDOW));
        assert(_claim(BOB, 9, none) == (wait >= WINDOW));
    }

    /// A held root waits until the hold ends, which is within its bound.
    function check_held_root_waits(uint64 until, uint64 wait) public {
        bytes32[] memory none = new bytes32[](0);
        assert(_post(0, rewards.leafOf(ALICE, 5), 5));
        vm.prank(COURT);
        uint64 liveAt = rewards.holdPending(0, until);
        assert(liveAt >= START + WINDOW && liveAt <= START + WINDOW + HOLD);
        assert(until > START + WINDOW + HOLD || liveAt >= until);
        vm.warp(START + wait);
        assert(_claim(ALICE, 5, none) == (START + wait >= liveAt));
    }

    /// A voided root never pays, and the live one stays as it was.
    function check_void_root_never_pays(bool first, uint64 early, uint64 wait) public {
        vm.assume(early < WINDOW);
        bytes32[] memory none = new bytes32[](0);
        uint256 posted = START;
        if (!first) {
            assert(_post(0, rewards.leafOf(ALICE, 5), 5));
            posted = START + WINDOW;
            vm.warp(posted);
        }
        assert(_post(1, rewards.leafOf(BOB, 9), 9));
        vm.warp(posted + early);
        vm.prank(COURT);
        rewards.voidPending(1);
        vm.warp(posted + early + wait);
        assert(!_claim(BOB, 9, none));
        assert(_claim(ALICE, 5, none) == !first);
    }

    /// A root is taken only if all that it promises can be paid, if its epoch is new, and if its total did not fall.
    function check_roots_are_funded_and_grow(uint64 one, uint64 two, uint128 first, uint128 second, bool claim) public {
        vm.assume(one < type(uint64).max && two < type(uint64).max && first != 0);
        bool posted = _post(one, rewards.leafOf(ALICE, first), first);
        assert(!posted || first <= FUNDS);
        vm.warp(START + WINDOW);
        if (claim) _claim(ALICE, first, new bytes32[](0));
        bool again = _post(two, bytes32(uint256(1)), second);
        assert(!again || second <= FUNDS);
        assert(!again || !posted || (two > one && second >= first));
    }

    /// Only the poster posts; only the court and the guardian void; only the court holds.
    function check_strangers_move_no_root(address stranger, uint64 until, bytes32 root, uint8 what) public {
        vm.assume(stranger != POSTER && stranger != COURT && stranger != GUARDIAN);
        assert(_post(0, rewards.leafOf(ALICE, 5), 5));
        if (what == 0) vm.warp(START + WINDOW);
        vm.prank(stranger);
        if (what == 0) try rewards.postRoot(1, root, 5, 0, "") { assert(false); } catch {}
        else if (what == 1) try rewards.voidPending(0) { assert(false); } catch {}
        else try rewards.holdPending(0, until) { assert(false); } catch {}
    }

    /// A pause never keeps a claim from being paid.
    function check_pause_never_blocks_a_claim(uint128 lifetime) public {
        vm.assume(lifetime != 0 && lifetime <= FUNDS);
        assert(_post(0, rewards.leafOf(ALICE, lifetime), lifetime));
        vm.prank(GUARDIAN);
        rewards.pause();
        vm.warp(START + WINDOW);
        assert(_claim(ALICE, lifetime, new bytes32[](0)) && coin.balanceOf(ALICE) == lifetime);
    }
}
