// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ed25519} from "../../src/Ed25519.sol";
import {NodeRegistry} from "../../src/NodeRegistry.sol";

/// The cheats of the test machine that sign by ed25519 (over `namespace ‖ message`).
interface Keys {
    function createEd25519Key(bytes32 salt) external returns (bytes32 publicKey, bytes32 privateKey);
    function signEd25519(bytes calldata namespace, bytes calldata message, bytes32 privateKey)
        external
        pure
        returns (bytes memory signature);
    function prank(address) external;
}

/// Keys, their owners, and signatures by another implementation of ed25519 than the one under test.
contract NodeRegistryTest {
    Keys private constant vm = Keys(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant ORDER = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    address private constant ANN = address(0xA22);
    address private constant EVE = address(0xE4E);
    bytes32 private constant META = "meta";

    NodeRegistry private registry;

    function setUp() public {
        registry = new NodeRegistry();
    }

    function test_a_key_is_registered_by_its_own_signature_for_ever() public {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key("one");
        bytes memory signature = _sign(secret, registry.registrationDigest(ANN));
        _by(ANN, abi.encodeCall(registry.register, (key, NodeRegistry.Kind.Worker, META, signature)), "");
        NodeRegistry.Node memory node = registry.nodeOf(key);
        require(node.owner == ANN && node.kind == NodeRegistry.Kind.Worker && node.meta == META, "node");
        require(node.status == NodeRegistry.Status.Active && node.since == block.timestamp, "status");
        // again, by the owner or another one
        bytes memory taken = abi.encodeWithSelector(NodeRegistry.KeyTaken.selector, key, ANN);
        signature = _sign(secret, registry.registrationDigest(EVE));
        _by(EVE, abi.encodeCall(registry.register, (key, NodeRegistry.Kind.Worker, META, signature)), taken);
        _by(ANN, abi.encodeCall(registry.retire, (key)), "");
        _by(EVE, abi.encodeCall(registry.register, (key, NodeRegistry.Kind.Worker, META, signature)), taken);
        require(registry.ownerOf(key) == ANN, "for ever");
        _by(ANN, abi.encodeCall(registry.setMeta, (key, 0)), abi.encodeWithSelector(NodeRegistry.KeyRetired.selector, key));
    }

    function test_a_signature_is_good_for_one_owner_and_once() public {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key("one");
        bytes32 digest = registry.registrationDigest(ANN);
        bytes memory signature = _sign(secret, digest);
        bytes memory call = abi.encodeCall(registry.register, (key, NodeRegistry.Kind.Validator, META, signature));
        bytes32 hers = registry.registrationDigest(EVE);
        _by(EVE, call, abi.encodeWithSelector(NodeRegistry.NoPossession.selector, key, hers));
        _by(ANN, call, "");
        (bytes32 other, bytes32 secretOther) = vm.createEd25519Key("two");
        signature = _sign(secretOther, digest); // the nonce that is used up
        bytes32 next = registry.registrationDigest(ANN);
        require(next != digest, "nonce");
        call = abi.encodeCall(registry.register, (other, NodeRegistry.Kind.Validator, META, signature));
        _by(ANN, call, abi.encodeWithSelector(NodeRegistry.NoPossession.selector, other, next));
    }

    function test_a_key_is_rotated_by_its_owner_with_the_new_keys_signature() public {
        (bytes32 old, bytes32 secret) = vm.createEd25519Key("old");
        bytes memory signature = _sign(secret, registry.registrationDigest(ANN));
        _by(ANN, abi.encodeCall(registry.register, (old, NodeRegistry.Kind.Trainer, META, signature)), "");
        (bytes32 key, bytes32 secretNew) = vm.createEd25519Key("new");
        signature = _sign(secretNew, registry.registrationDigest(ANN));
        bytes memory call = abi.encodeCall(registry.rotateKey, (old, key, signature));
        _by(EVE, call, abi.encodeWithSelector(NodeRegistry.NotOwner.selector, old, ANN, EVE));
        _by(ANN, call, "");
        require(registry.nodeOf(old).status == NodeRegistry.Status.Retired, "old");
        NodeRegistry.Node memory node = registry.nodeOf(key);
        require(node.owner == ANN && node.kind == NodeRegistry.Kind.Trainer && node.meta == META, "new");
        _by(ANN, call, abi.encodeWithSelector(NodeRegistry.KeyRetired.selector, old));
    }

    function test_a_signature_has_64_bytes_and_a_node_a_kind() public {
        bytes memory call = abi.encodeCall(registry.register, (META, NodeRegistry.Kind.Worker, META, new bytes(65)));
        _by(ANN, call, abi.encodeWithSelector(NodeRegistry.SignatureLength.selector, 64, 65));
        call = abi.encodeCall(registry.register, (META, NodeRegistry.Kind.None, META, new bytes(64)));
        _by(ANN, call, abi.encodeWithSelector(NodeRegistry.NoKind.selector));
    }

    /// Any key, any message: the signature is good, and no longer so with any one bit turned or with `s + ORDER`.
    function testFuzz_signatures_of_another_implementation_are_good_until_touched(
        bytes32 salt,
        bytes32 message,
        uint8 bit
    ) public {
        (bytes32 key, bytes32 secret) = vm.createEd25519Key(salt);
        bytes memory signature = _sign(secret, message);
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        require(Ed25519.verify(key, r, s, message), "good");
        bytes32 turned = bytes32(uint256(1) << bit);
        require(!Ed25519.verify(key ^ turned, r, s, message), "key");
        require(!Ed25519.verify(key, r ^ turned, s, message), "r");
        require(!Ed25519.verify(key, r, s ^ turned, message), "s");
        require(!Ed25519.verify(key, r, s, message ^ turned), "message");
        require(!Ed25519.verify(key, r, _turn(bytes32(uint256(_turn(s)) + ORDER)), message), "s + ORDER");
    }

    /// The bytes in the opposite order, the plain way.
    function _turn(bytes32 v) private pure returns (bytes32 turned) {
        for (uint256 i = 0; i < 32; ++i) turned |= (v >> (8 * i) & bytes32(uint256(0xff))) << (8 * (31 - i));
    }

    function _sign(bytes32 secret, bytes32 digest) private pure returns (bytes memory) {
        return vm.signEd25519("", abi.encode(digest), secret);
    }

    /// Calls the registry as `who`; with `refusal` it must be refused by just that, else it must succeed.
    function _by(address who, bytes memory call, bytes memory refusal) private {
        vm.prank(who);
        (bool ok, bytes memory data) = address(registry).call(call);
        if (refusal.length == 0) require(ok, "refused");
        else require(!ok && keccak256(data) == keccak256(refusal), "not refused as it should be");
    }
}
