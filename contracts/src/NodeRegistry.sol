// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ed25519} from "./Ed25519.sol";

/// @title Which account answers for which peer key.
/// @notice A node is known in the network by its ed25519 peer key and on the chain by the account that owns it. The
///         key proves here that it belongs to the account: it signs the account's name, and the chain checks it.
///         Promises: a key has one owner for ever, also after it was retired; nobody registers a key that it does
///         not hold; a signature works once. Nobody has a special role here.
contract NodeRegistry {
    /// @notice What a node does. `None` is no kind.
    enum Kind {
        None,
        Worker,
        Validator,
        Trainer,
        Curator
    }

    /// @notice Whether a key is in use. A retired key never comes back.
    enum Status {
        None,
        Active,
        Retired
    }

    /// @notice What is known of a peer key.
    /// @param owner Account that answers for the node.
    /// @param kind What it does.
    /// @param status Whether the key is in use.
    /// @param since Second of its registration.
    /// @param meta Hash of a description published elsewhere.
    struct Node {
        address owner;
        Kind kind;
        Status status;
        uint64 since;
        bytes32 meta;
    }

    /// @notice Purpose, the first field under every proof of possession.
    string public constant PURPOSE = "essaim node registration v1";

    mapping(bytes32 peerKey => Node) private _nodes;

    /// @notice Number that the owner's next proof must name. It counts the keys the owner has brought here.
    mapping(address owner => uint256) public nonces;

    /// @notice A key was registered.
    /// @param peerKey The key.
    /// @param owner Account that answers for it.
    /// @param kind What the node does.
    /// @param meta Hash of its description.
    event NodeRegistered(bytes32 indexed peerKey, address indexed owner, Kind kind, bytes32 meta);
    /// @notice A key took the place of another one of the same owner.
    /// @param oldKey The key that is retired.
    /// @param newKey The key that takes its place.
    /// @param owner Account that answers for both.
    event KeyRotated(bytes32 indexed oldKey, bytes32 indexed newKey, address indexed owner);
    /// @notice A description changed.
    /// @param peerKey The node's key.
    /// @param meta Hash of the new description.
    event MetaChanged(bytes32 indexed peerKey, bytes32 meta);
    /// @notice A key went out of use for ever.
    /// @param peerKey The key.
    /// @param owner Account that answers for it.
    event NodeRetired(bytes32 indexed peerKey, address indexed owner);

    /// @notice The key has an owner already.
    /// @param peerKey The key.
    /// @param owner Who has it, or had it until it was retired.
    error KeyTaken(bytes32 peerKey, address owner);
    /// @notice The caller does not own the key.
    /// @param peerKey The key.
    /// @param owner Who does; zero if nobody.
    /// @param given Who tried.
    error NotOwner(bytes32 peerKey, address owner, address given);
    /// @notice The key was retired.
    /// @param peerKey The key.
    error KeyRetired(bytes32 peerKey);
    /// @notice A node must do something.
    error NoKind();
    /// @notice An ed25519 signature has 64 bytes.
    /// @param limit 64.
    /// @param given Bytes given.
    error SignatureLength(uint256 limit, uint256 given);
    /// @notice The signature is not the key's over this digest, or the key is not a sound one.
    /// @param peerKey The key.
    /// @param digest What it should have signed.
    error NoPossession(bytes32 peerKey, bytes32 digest);

    /// @notice Registers a key of the caller.
    /// @param peerKey The ed25519 public key, as 32 bytes in the order of RFC 8032.
    /// @param kind What the node does.
    /// @param meta Hash of its description; may be zero.
    /// @param signature The key's ed25519 signature over `registrationDigest(msg.sender)`, 64 bytes.
    function register(bytes32 peerKey, Kind kind, bytes32 meta, bytes calldata signature) external {
        if (kind == Kind.None) revert NoKind();
        _prove(peerKey, signature);
        _nodes[peerKey] = Node(msg.sender, kind, Status.Active, uint64(block.timestamp), meta);
        emit NodeRegistered(peerKey, msg.sender, kind, meta);
    }

    /// @notice Puts a new key in the place of an old one: same owner, kind and description. The old key is retired.
    /// @param oldKey A key of the caller that is in use.
    /// @param newKey A key that nobody has.
    /// @param signature The new key's ed25519 signature over `registrationDigest(msg.sender)`.
    function rotateKey(bytes32 oldKey, bytes32 newKey, bytes calldata signature) external {
        Node storage old = _owned(oldKey);
        _prove(newKey, signature);
        _nodes[newKey] = Node(msg.sender, old.kind, Status.Active, uint64(block.timestamp), old.meta);
        old.status = Status.Retired;
        emit KeyRotated(oldKey, newKey, msg.sender);
    }

    /// @notice Changes the description of one of the caller's nodes.
    /// @param peerKey The node's key.
    /// @param meta Hash of the new description; may be zero.
    function setMeta(bytes32 peerKey, bytes32 meta) external {
        _owned(peerKey).meta = meta;
        emit MetaChanged(peerKey, meta);
    }

    /// @notice Takes one of the caller's keys out of use for ever.
    /// @param peerKey The key.
    function retire(bytes32 peerKey) external {
        _owned(peerKey).status = Status.Retired;
        emit NodeRetired(peerKey, msg.sender);
    }

    /// @notice What is known of a key; all zero if nothing is.
    /// @param peerKey The key.
    function nodeOf(bytes32 peerKey) external view returns (Node memory) {
        return _nodes[peerKey];
    }

    /// @notice Who owns a key, in use or retired; zero if nobody does.
    /// @param peerKey The key.
    function ownerOf(bytes32 peerKey) external view returns (address) {
        return _nodes[peerKey].owner;
    }

    /// @notice What a key must sign to be registered by `owner` next:
    ///         `keccak256(abi.encode(PURPOSE, chainid, this contract, owner, nonces[owner]))`.
    /// @param owner The account that will register the key.
    function registrationDigest(address owner) public view returns (bytes32) {
        return keccak256(abi.encode(PURPOSE, block.chainid, address(this), owner, nonces[owner]));
    }

    /// Checks that `peerKey` is new and signed for the caller, and uses up the caller's nonce.
    function _prove(bytes32 peerKey, bytes calldata signature) private {
        address owner = _nodes[peerKey].owner;
        if (owner != address(0)) revert KeyTaken(peerKey, owner);
        if (signature.length != 64) revert SignatureLength(64, signature.length);
        bytes32 digest = registrationDigest(msg.sender);
        nonces[msg.sender]++;
        bool signed = Ed25519.verify(peerKey, bytes32(signature[:32]), bytes32(signature[32:]), digest);
        if (!signed) revert NoPossession(peerKey, digest);
    }

    /// The caller's node under an active key.
    function _owned(bytes32 peerKey) private view returns (Node storage node) {
        node = _nodes[peerKey];
        if (node.owner != msg.sender) revert NotOwner(peerKey, node.owner, msg.sender);
        if (node.status != Status.Active) revert KeyRetired(peerKey);
    }
}
