"""Writes contracts/test/vectors/ed25519.tsv: what a strict verifier of ed25519 must say, case by case.

Columns: why, valid (0 or 1), key, r, s, message; 32 bytes each, hexadecimal. The good signatures are made by
`cryptography`; the edge cases are put together below from the definition, in plain integers, and judged by `strict`.
Needs the Python package `cryptography`. The same seed gives the same file.
"""

import hashlib
import pathlib
import random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1)
OUT = pathlib.Path(__file__).parent.parent / "contracts/test/vectors/ed25519.tsv"
RANDOM = random.Random(25519)


def add(a, b):
    t = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P)
    return x % P, y % P


def times(n, a):
    total = NEUTRAL
    while n:
        if n & 1:
            total = add(total, a)
        a, n = add(a, a), n >> 1
    return total


def x_of(y):
    """An x with (x, y) on the curve, or None."""
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT % P
    return x if (v * x * x - u) % P == 0 else None


def point(data):
    """The point that 32 bytes write in the canonical way, or None."""
    bits = int.from_bytes(data, "little")
    y, sign = bits & (2**255 - 1), bits >> 255
    x = x_of(y) if y < P else None
    if x is None or (x == 0 and sign):
        return None
    return (P - x if x & 1 != sign else x), y


def written(a):
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


def number(n):
    return n.to_bytes(32, "little")


def challenge(key, r, message):
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def base():
    y = 4 * pow(5, -1, P) % P
    x = x_of(y)
    return (P - x if x & 1 else x), y


B = base()
SMALL = next(
    t
    for t in (times(L, (x_of(y), y)) for y in range(2, 100) if x_of(y) is not None)
    if times(4, t) != NEUTRAL
)


def strict(key, r, s, message):
    """s·B = R + k·A without cofactor, s < L, canonical points, neither of small order."""
    a, c = point(key), point(r)
    n = int.from_bytes(s, "little")
    if a is None or c is None or n >= L or NEUTRAL in (times(8, a), times(8, c)):
        return False
    return times(n, B) == add(c, times(challenge(key, r, message), a))


def good():
    secret = Ed25519PrivateKey.from_private_bytes(RANDOM.randbytes(32))
    message = RANDOM.randbytes(32)
    signature = secret.sign(message)
    return secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), signature[:32], signature[32:], message


def mutated():
    for field, name in enumerate(("key", "r", "s", "message")):
        for bit in (0, 7, 100, 254, 255):
            parts = list(good())
            changed = bytearray(parts[field])
            changed[bit // 8] ^= 1 << bit % 8
            parts[field] = bytes(changed)
            yield f"bit {bit} of {name} turned", parts
    for multiple in (1, 2, 15):
        key, r, s, message = good()
        yield f"s + {multiple} L", (key, r, number(int.from_bytes(s, "little") + multiple * L), message)
    key, r, s, message = good()
    yield "L - s", (key, r, number(L - int.from_bytes(s, "little")), message)


def small_order():
    """Keys and R of small order, written canonically and not; s is such that the equation holds where it can."""
    encodings = [written(times(j, SMALL)) for j in range(8)]
    encodings += [number(y | sign << 255) for y in (P, P + 1) for sign in (0, 1)]
    encodings += [number(1 | 1 << 255), number(P - 1 | 1 << 255)]
    for j, data in enumerate(encodings):
        yield f"small key {j}, R = B, s = 1", (data, written(B), number(1), RANDOM.randbytes(32))
        secret, message = RANDOM.randrange(1, L), RANDOM.randbytes(32)
        key = written(times(secret, B))
        yield f"small R {j}", (key, data, number(challenge(key, data, message) * secret % L), message)


def mixed_order():
    """Key and R with a part of small order: good only if those parts cancel, which is chance."""
    for j in range(16):
        secret, nonce, message = RANDOM.randrange(1, L), RANDOM.randrange(1, L), RANDOM.randbytes(32)
        key = written(add(times(secret, B), times(1 + j % 7, SMALL)))
        r = written(add(times(nonce, B), times(RANDOM.randrange(8), SMALL)))
        yield "mixed order", (key, r, number((nonce + challenge(key, r, message) * secret) % L), message)


def edges():
    for secret in (1, 2, 8, L - 1, L - 8, (L - 1) // 2, 2**251):
        for nonce in (1, L - 1, 2**128):
            key, r, message = written(times(secret, B)), written(times(nonce, B)), RANDOM.randbytes(32)
            yield "edge scalars", (key, r, number((nonce + challenge(key, r, message) * secret) % L), message)
    for s in (0, L, 2**253, 2**255, 2**256 - 1):
        key, r, _, message = good()
        yield "edge s", (key, r, number(s), message)
    for y in (2, 3, 4, 18, P - 2, P - 3, P - 4, P + 3, P + 18):
        yield "edge y of the key", (number(y), written(B), number(5), RANDOM.randbytes(32))
        key, _, s, message = good()
        yield "edge y of R", (key, number(y), s, message)


def main():
    rows = [("made by another library", good()) for _ in range(12)]
    for family in (mutated, small_order, mixed_order, edges):
        rows += family()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join([why, str(int(strict(*case))), *(field.hex() for field in case)]) for why, case in rows]
    OUT.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} cases, {sum(line.split(chr(9))[1] == '1' for line in lines)} valid")


main()
