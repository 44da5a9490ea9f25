// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {EssaimToken} from "../src/EssaimToken.sol";
import {Cheats} from "./Properties.sol";

/// OpenZeppelin's token with votes as it comes, against which ours is held.
contract StockToken is ERC20, ERC20Permit, ERC20Votes {
    constructor(address holder, uint256 genesis) ERC20("Stock", "STK") ERC20Permit("Stock") {
        _mint(holder, genesis);
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 amount) internal override(ERC20, ERC20Votes) {
        super._update(from, to, amount);
    }
}

/// Random histories of four holders on both tokens: every balance, vote, past vote and refusal is the same. For forge.
contract EssaimTokenHistories {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant GENESIS = 1_000_000;
    uint256 private constant CAP = 2_000_000;

    EssaimToken private ours;
    StockToken private stock;
    uint256 private now_;
    uint256 private transfers;

    function setUp() public {
        now_ = 1_800_000_000;
        vm.warp(now_);
        ours = new EssaimToken(CAP, _holder(0), GENESIS, address(this));
        ours.grantRole(ours.MINTER_ROLE(), address(this));
        stock = new StockToken(_holder(0), GENESIS);
        for (uint256 i = 1; i < 4; ++i) _both(_holder(0), abi.encodeCall(ERC20.transfer, (_holder(i), GENESIS / 4)));
    }

    function test_histories_agree_with_openzeppelin(uint256 seed) public {
        for (uint256 step = 0; step < 60; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            _step(seed);
            _compare();
        }
        // A history that moves nothing proves nothing.
        require(transfers >= 3, "vacuous");
        (bool a, bool b) = _both(_holder(0), abi.encodeCall(ERC20.transfer, (_holder(1), CAP)));
        require(!a && !b, "more than the balance was moved");
    }

    function _step(uint256 seed) private {
        uint256 action = seed % 8;
        address from = _holder((seed >> 8) % 4);
        address to = _holder((seed >> 16) % 4);
        uint256 amount = (seed >> 24) % (GENESIS / 4);
        if (action < 4) {
            (bool a, bool b) = _both(from, abi.encodeCall(ERC20.transfer, (to, amount)));
            require(a == b, "one refused");
            if (a) ++transfers;
        } else if (action < 6) {
            address to_ = (seed >> 60) % 3 == 0 ? address(0) : to;
            (bool a, bool b) = _both(from, abi.encodeWithSignature("delegate(address)", to_));
            require(a && b, "delegation refused");
        } else if (action == 6) {
            now_ += (seed >> 24) % 3;
            vm.warp(now_);
        } else if (ours.totalSupply() + amount / 10 <= CAP) {
            ours.mint(to, amount / 10);
            stock.mint(to, amount / 10);
        } else {
            try ours.mint(to, amount / 10) {
                revert("minted above the cap");
            } catch {}
        }
    }

    function _both(address from, bytes memory call) private returns (bool a, bool b) {
        vm.prank(from);
        (a,) = address(ours).call(call);
        vm.prank(from);
        (b,) = address(stock).call(call);
    }

    function _compare() private view {
        require(ours.totalSupply() == stock.totalSupply(), "supply");
        uint256 sum = 0;
        for (uint256 i = 0; i < 4; ++i) {
            address holder = _holder(i);
            sum += ours.balanceOf(holder);
            require(ours.balanceOf(holder) == stock.balanceOf(holder), "balance");
            require(ours.delegates(holder) == stock.delegates(holder), "delegate");
            require(ours.getVotes(holder) == stock.getVotes(holder), "votes");
            require(ours.getPastVotes(holder, now_ - 1) == stock.getPastVotes(holder, now_ - 1), "past votes");
        }
        require(sum == ours.totalSupply(), "sum");
        require(ours.getPastTotalSupply(now_ - 1) == stock.getPastTotalSupply(now_ - 1), "past supply");
    }

    function _holder(uint256 i) private pure returns (address) {
        return address(uint160(0x1000 + i));
    }
}
