"""Works out the golden values of src/draw.rs, src/fingerprint.rs and src/beacon/chain.rs.

Run: pip install blake3; python3 lots.py
"""

from blake3 import blake3


def stream(context, *fields, length=32):
    return blake3(b"".join(fields), derive_key_context=context).digest(length)


def word(raw, index):
    return int.from_bytes(raw[8 * index : 8 * index + 8], "little")


beacon = (7).to_bytes(8, "little") + bytes([1] * 32)
root = bytes([2] * 32)

count, wanted = 64, 7
raw = stream("essaim 2026 draw samples v1", beacon, root, length=8 * wanted)
drawn = set()
for index, last in enumerate(range(count - wanted, count)):
    lot = word(raw, index) * (last + 1) >> 64
    drawn.add(last if lot in drawn else lot)
print("samples", sorted(drawn))

for place in range(2):
    lots = {
        i: stream("essaim 2026 draw validator v1", beacon, root, place.to_bytes(4, "little"), i.to_bytes(4, "little"))
        for i in range(7)
    }
    print("validator at place", place, max(lots, key=lots.get))

print("second check", word(stream("essaim 2026 draw second check v1", beacon, root), 0) * 1_000_000 >> 64)

raw = stream("essaim 2026 fingerprint signs v1", bytes(32), length=2)
print("signs", [1 - 2 * (raw[i // 8] >> i % 8 & 1) for i in range(16)])

link = stream("essaim 2026 beacon chain secret v1", bytes([5] * 32))
for _ in range(3):
    link = stream("essaim 2026 beacon chain step v1", link)
print("anchor of three rounds", link.hex())
