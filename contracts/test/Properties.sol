// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// The few cheats of the test machine that the properties use. Declared here, so that no test library is needed.
interface Cheats {
    function assume(bool) external pure;
    function prank(address) external;
    function warp(uint256) external;
}

/// A token that gives `supply` to its maker. The plain one, so that the solver does not walk through vote checkpoints.
contract Coin is ERC20 {
    constructor(uint256 supply) ERC20("Coin", "COIN") {
        _mint(msg.sender, supply);
    }
}

/// A committee member that signs everything (ERC-1271), so that properties of rulings need no key.
contract Consenting {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}

/// What the properties share. A property is a function `check_*`; it holds if no arguments make its `assert` fail.
abstract contract Properties {
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant SUPPLY = type(uint64).max;

    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    address internal constant TREASURY = address(0x7EA5);
    address internal constant COURT = address(0xC0DE);
    address internal constant GUARDIAN = address(0x6A4D);
    address internal constant POSTER = address(0x9057);

    Coin internal coin;
}
