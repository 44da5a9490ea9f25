"""Writes crates/tasks/tests/fixtures/difflib.json: texts with Python's SequenceMatcher result.

Run from the repository's root with any CPython 3.9 or newer: python3 scripts/make_difflib_vectors.py
Only the standard library is needed. The texts are random from a fixed seed.
"""
import json
import random
from difflib import SequenceMatcher

rng = random.Random(20260101)
ENGLISH = "the quick brown fox jumps over the lazy dog while seven wizards boxed a quince jelly "


def letters(alphabet, length):
    return "".join(rng.choice(alphabet) for _ in range(length))


def damaged(text, alphabet, share):
    out = []
    for c in text:
        roll = rng.random()
        if roll < share:
            out.append(rng.choice(alphabet))
        elif roll < 1.5 * share:
            continue
        else:
            out.append(c)
            if roll > 1 - 0.5 * share:
                out.append(rng.choice(alphabet))
    return "".join(out)


pairs = [("", ""), ("", "a"), ("a", ""), ("ab", "acab"), ("abcd", "bcde"), ("qabxcd", "abycdf")]
pairs += [("tide", "diet"), ("diet", "tide"), ("a" * 30, "a" * 7), ("ab" * 20, "ba" * 21)]
pairs += [("naïve café 漢字 😀", "😀 字漢 éfac evïan"), ("\u0130i\u0307", "i\u0307\u0130")]
for alphabet in ("ab", "abcd", "abcdefghijklmnopqrstuvwxyz "):
    for length in (3, 8, 20, 60):
        for _ in range(3):
            text = letters(alphabet, length)
            pairs.append((letters(alphabet, length), text))
            pairs.append((damaged(text, alphabet, 0.3), text))
            pairs.append((text[::-1], text))
# From 200 characters on, popular characters of the second text start no match ("autojunk").
wide = "".join(chr(c) for c in range(0x100, 0x200))
for length in (199, 200, 201, 300, 450):
    english = (ENGLISH * 8)[:length]
    mixed = letters(wide, length)
    pairs.append((damaged(english, "abcdefgh ", 0.1), english))
    pairs.append((english[::-1], english))
    pairs.append((english, damaged(english, "abcdefgh ", 0.05)))
    pairs.append((damaged(mixed, wide, 0.2), mixed))
    pairs.append((letters("ab" + wide[:40], length), letters("ab" + wide[:40], length)))

rows = []
for a, b in pairs:
    matched = sum(block.size for block in SequenceMatcher(None, a, b).get_matching_blocks())
    total = len(a) + len(b)
    micro = 2 * matched * 1_000_000 // total if total else 1_000_000
    assert abs(SequenceMatcher(None, a, b).ratio() * 1e6 - micro) <= 1
    rows.append({"a": a, "b": b, "micro": micro})
with open("crates/tasks/tests/fixtures/difflib.json", "w", encoding="utf-8") as out:
    out.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")
print(len(rows), "pairs")
