"""Prints the hashes, keys and signatures of crates/protocol/tests/it/golden.rs, computed without our code.

Needs Python packages `blake3` and `cryptography`. The records' bytes are put together by hand below, field by
field, as the test does.
"""

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


FORMAT = 3


def derive(context: str, data: bytes) -> bytes:
    return blake3(data, derive_key_context=context).digest()


def prefixed(field: bytes) -> bytes:
    return len(field).to_bytes(4, "little") + field


def keys(role: str, index: int) -> Ed25519PrivateKey:
    data = bytes([1] * 32) + prefixed(role.encode()) + index.to_bytes(4, "little")
    return Ed25519PrivateKey.from_private_bytes(derive("essaim 2026 local identity v1", data))


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signed(kind: int, context: str, body: bytes, run: bytes, key: Ed25519PrivateKey) -> bytes:
    """Body, signer and signature, without format and kind."""
    digest = derive(context, run + bytes([FORMAT, kind]) + body)
    return body + public(key) + key.sign(digest)


def rollout(sample: int) -> bytes:
    text = f"29 {sample:02x} 02058001 020902 02000000bf000080bf 020303 00 80897a 01 0301ff00 0201d804"
    return bytes.fromhex(text)


def node(left: bytes, right: bytes) -> bytes:
    return derive("essaim 2026 merkle node v1", left + right)


def leaf(data: bytes) -> bytes:
    return derive("essaim 2026 merkle leaf v1", data)


def seed(run: bytes) -> bytes:
    fields = [b"train", run, (1).to_bytes(8, "little"), bytes([8] * 32), (2).to_bytes(8, "little")]
    fields += [(3).to_bytes(4, "little"), (4).to_bytes(8, "little"), (5).to_bytes(4, "little")]
    return derive("essaim 2026 rollout seed v2", b"".join(map(prefixed, fields)))


orchestrator, trainer = keys("orchestrator", 0), keys("trainer", 0)
workers = [keys("worker", index) for index in range(2)]
validators = [keys("validator", index) for index in range(2)]
terms = b"".join(
    [bytes([7] * 32), public(orchestrator), public(trainer)]
    + [b"\2", *map(public, workers), b"\2", *map(public, validators)]
    + [bytes.fromhex("02 c09a0c 04 0000803f 40 8001 c801 0102 00 00"), bytes([4] * 32), bytes.fromhex("8008")]
)
run = derive("essaim 2026 run id v1", terms)
lease_body = bytes.fromhex("29 01 ac02 03") + bytes([9] * 32) + b"\2" + bytes([7] * 32) + b"\0\6\5" + bytes([8] * 32)
lease = signed(1, "essaim 2026 prompt lease v1", lease_body, run, orchestrator)
root = node(*(leaf(bytes([FORMAT, 2]) + rollout(sample)) for sample in range(2)))
commitment = signed(4, "essaim 2026 commitment v1", b"\x29\0\2" + root, run, workers[0])
plant = signed(13, "essaim 2026 plant request v1", b"\x29\0\2" + root, run, orchestrator)
numbers = bytes.fromhex("01 01 02 dc0b e807 00 ac02 09 01 8001 02 02000000bf000080bf")
verdict_body = b"\x29" + root + b"\1\6" + bytes([6] * 32) + bytes.fromhex("ac02") + numbers + b"\0"
verdict = signed(5, "essaim 2026 verdict v1", verdict_body, run, validators[1])
seal = derive("essaim 2026 verdict seal v1", public(validators[1]) + bytes([3] * 32) + bytes([FORMAT, 0x85]) + verdict)

for name, value in [
    ("rollout seed", seed(derive("essaim 2025 run seed v1", (42).to_bytes(8, "little")))),
    ("worker 1", public(workers[1])),
    ("run id", run),
    ("root of 2", root),
    ("root of 3", node(node(leaf(b"a"), leaf(b"b")), leaf(b"c"))),
    ("root of 0", derive("essaim 2026 merkle node v1", b"")),
    ("lease signature", lease[-64:]),
    ("commitment signature", commitment[-64:]),
    ("plant request signature", plant[-64:]),
    ("verdict signature", verdict[-64:]),
    ("seal", seal),
    ("batch", derive("essaim 2026 batch v1", bytes([1] * 32 + [2] * 32))),
]:
    print(f"{name}: {value.hex()}")
