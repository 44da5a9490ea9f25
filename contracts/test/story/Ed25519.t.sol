// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ed25519} from "../../src/Ed25519.sol";

/// The cheats of the test machine that read a table.
interface Reader {
    function readFile(string calldata path) external view returns (string memory);
    function split(string calldata text, string calldata by) external pure returns (string[] memory);
    function parseBytes32(string calldata text) external pure returns (bytes32);
}

/// What a strict verifier must say, case by case: scripts/make_ed25519_vectors.py.
contract Ed25519Test {
    Reader private constant vm = Reader(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// Measured: 147 050 at most.
    uint256 private constant GAS_MAX = 150_000;

    function test_every_case_of_the_table_is_judged_as_written() public view {
        string[] memory lines = vm.split(vm.readFile("test/vectors/ed25519.tsv"), "\n");
        uint256[2] memory seen;
        for (uint256 i = 0; i + 1 < lines.length; ++i) {
            string[] memory row = vm.split(lines[i], "\t");
            bool valid = keccak256(bytes(row[1])) == keccak256("1");
            require(_verify(row) == valid, lines[i]);
            ++seen[valid ? 1 : 0];
        }
        require(seen[0] == 88 && seen[1] == 36, "the table is whole");
    }

    function _verify(string[] memory row) private view returns (bool valid) {
        uint256 used;
        (valid, used) = this.judge(
            vm.parseBytes32(row[2]), vm.parseBytes32(row[3]), vm.parseBytes32(row[4]), vm.parseBytes32(row[5])
        );
        require(used <= GAS_MAX, "gas");
    }

    /// The verdict and what it cost, in a memory of its own.
    function judge(bytes32 key, bytes32 r, bytes32 s, bytes32 message) external view returns (bool valid, uint256 used) {
        used = gasleft();
        valid = Ed25519.verify(key, r, s, message);
        used -= gasleft();
    }
}
