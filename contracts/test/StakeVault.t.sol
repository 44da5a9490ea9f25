// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StakeVault} from "../src/StakeVault.sol";
import {Coin, Properties} from "./Properties.sol";

/// What no amounts, times and callers can make the vault do.
contract StakeVaultProperties is Properties {
    uint64 private constant COOLDOWN = 14 days;
    uint64 private constant DETECTION = 7 days;
    uint64 private constant SLASH = 3 days;

    StakeVault private vault;

    function setUp() public {
        vm.warp(START);
        coin = new Coin(SUPPLY);
        vault = new StakeVault(coin, TREASURY, StakeVault.Windows(COOLDOWN, DETECTION, SLASH), 400_000, address(this));
        vault.grantRole(vault.SLASHER_ROLE(), COURT);
        vault.grantRole(vault.GUARDIAN_ROLE(), GUARDIAN);
        coin.approve(address(vault), SUPPLY);
    }

    /// Alice has `staked`, of which `left` is leaving since START.
    function _staked(uint128 staked, uint128 left) private {
        vm.assume(staked != 0 && staked <= SUPPLY && left <= staked);
        vault.stakeFor(ALICE, staked);
        if (left == 0) return;
        vm.prank(ALICE);
        vault.requestLeave(left);
    }

    /// Without a beneficiary: dividing by the whole is slow to solve, so one property alone looks at the bounty.
    function _open(uint128 amount) private returns (uint256) {
        vm.prank(COURT);
        return vault.openSlash(ALICE, amount, 0, address(0));
    }

    function _held() private view returns (uint256) {
        StakeVault.Position memory position = vault.positionOf(ALICE);
        return uint256(position.active) + position.leaving;
    }

    function _withdraw() private returns (bool) {
        vm.prank(ALICE);
        try vault.withdraw() returns (uint128) {
            return true;
        } catch {
            return false;
        }
    }

    /// Nothing leaves before its cooldown has passed, to the second; then all of it does.
    function check_no_exit_before_the_cooldown(uint128 staked, uint128 left, uint64 wait) public {
        vm.assume(left != 0);
        _staked(staked, left);
        vm.warp(START + wait);
        assert(_withdraw() == (wait >= COOLDOWN));
        assert(coin.balanceOf(ALICE) == (wait >= COOLDOWN ? left : 0));
    }

    /// Whatever is asked to leave, and whenever: what an open slash reserves stays.
    function check_slashed_part_cannot_leave(uint128 staked, uint128 left, uint128 amount, uint64 wait) public {
        _staked(staked, left);
        vm.assume(amount != 0 && amount <= staked);
        _open(amount);
        vm.warp(START + wait);
        _withdraw();
        assert(_held() >= amount);
    }

    /// The same when the slash is opened at any second of the cooldown, after the request.
    function check_late_slash_still_reserves(uint128 staked, uint128 left, uint128 amount, uint64 late, uint64 wait)
        public
    {
        _staked(staked, left);
        vm.assume(amount != 0 && amount <= staked && late < COOLDOWN);
        vm.warp(START + late);
        _withdraw();
        _open(amount);
        vm.warp(START + late + wait);
        _withdraw();
        assert(_held() >= amount);
    }

    /// The beneficiary receives at most half of what is slashed, the treasury the rest. Amounts up to 2^16 micro-ESM.
    function check_bounty_is_at_most_half(uint16 amount) public {
        vm.assume(amount != 0);
        vault.stakeFor(ALICE, amount);
        vm.prank(COURT);
        uint256 id = vault.openSlash(ALICE, amount, 0, BOB);
        vm.warp(START + SLASH);
        vm.prank(COURT);
        vault.executeSlash(id);
        assert(coin.balanceOf(TREASURY) + coin.balanceOf(BOB) == amount);
        assert(coin.balanceOf(BOB) <= amount / 2);
    }

    /// A slash takes exactly its amount, and only after its window.
    function check_executed_slash_takes_its_amount(uint128 staked, uint128 left, uint128 amount, uint64 wait) public {
        _staked(staked, left);
        vm.assume(amount != 0 && amount <= staked);
        uint256 id = _open(amount);
        vm.warp(START + wait);
        vm.prank(COURT);
        try vault.executeSlash(id) {
            assert(wait >= SLASH);
            assert(_held() == staked - amount);
            assert(coin.balanceOf(TREASURY) == amount);
        } catch {
            assert(wait < SLASH);
        }
    }

    /// A slash ends once: executed or cancelled, it is neither executed nor cancelled again, also while another one
    /// reserves as much.
    function check_slash_ends_once(uint128 staked, uint128 amount, bool execute, bool again) public {
        _staked(staked, 0);
        vm.assume(amount != 0 && amount <= staked);
        uint256 id = _open(amount);
        _open(amount);
        vm.warp(START + SLASH);
        vm.prank(COURT);
        if (execute) vault.executeSlash(id);
        else vault.cancelSlash(id);
        (uint256 held, uint256 reserved) = (_held(), vault.reservedOf(ALICE));
        vm.prank(COURT);
        if (again) try vault.executeSlash(id) { assert(false); } catch {}
        else try vault.cancelSlash(id) { assert(false); } catch {}
        assert(_held() == held && vault.reservedOf(ALICE) == reserved);
    }

    /// Two open slashes never take more than there is, and the second takes what the first left.
    function check_two_slashes_take_no_more_than_there_is(uint128 staked, uint128 one, uint128 two) public {
        _staked(staked, 0);
        vm.assume(one != 0 && one <= staked && two != 0 && two <= staked);
        uint256 first = _open(one);
        uint256 second = _open(two);
        vm.warp(START + SLASH);
        vm.prank(COURT);
        vault.executeSlash(first);
        vm.prank(COURT);
        vault.executeSlash(second);
        uint256 sum = uint256(one) + two;
        assert(_held() == (sum < staked ? staked - sum : 0));
        assert(vault.reservedOf(ALICE) == 0);
        assert(coin.balanceOf(address(vault)) == vault.totalHeld() && vault.totalHeld() == _held());
    }

    /// A pause never keeps what has left.
    function check_pause_never_blocks_a_withdrawal(uint128 staked, uint128 left) public {
        vm.assume(left != 0);
        _staked(staked, left);
        vm.prank(GUARDIAN);
        vault.pause();
        vm.warp(START + COOLDOWN);
        assert(_withdraw() && coin.balanceOf(ALICE) == left);
    }

    /// Nobody but Alice, the court and the guardian lowers what Alice has or reserves it.
    function check_strangers_change_nothing(address stranger, uint128 amount, uint256 id, uint8 what) public {
        _staked(1000, 400);
        _open(300);
        vm.assume(stranger != ALICE && stranger != COURT && stranger != GUARDIAN && stranger != address(this));
        vm.assume(stranger != address(vault) && stranger != address(coin) && stranger != address(vm));
        vm.warp(START + COOLDOWN);
        vm.prank(stranger);
        if (what == 0) try vault.openSlash(ALICE, amount, 0, stranger) {} catch {}
        else if (what == 1) try vault.executeSlash(id) {} catch {}
        else if (what == 2) try vault.cancelSlash(id) {} catch {}
        else if (what == 3) try vault.requestLeave(amount) {} catch {}
        else if (what == 4) try vault.cancelLeave() {} catch {}
        else try vault.withdraw() {} catch {}
        assert(_held() == 1000 && vault.stakeOf(ALICE) == 600 && vault.reservedOf(ALICE) == 300);
    }

    /// No vault comes to be whose cooldown a lie could outlast, or whose bounty makes accusing a friend pay.
    function check_windows_are_bounded(uint64 cooldown, uint64 detection, uint64 slash, uint32 bounty) public {
        StakeVault.Windows memory windows = StakeVault.Windows(cooldown, detection, slash);
        StakeVault made = new StakeVault(coin, TREASURY, windows, bounty, address(this));
        assert(uint256(made.cooldown()) > uint256(made.detectionWindow()) + made.slashWindow());
        assert(made.slashWindow() > 0 && made.detectionWindow() > 0 && made.bountyPpm() <= 500_000);
    }
}
