"""Writes gumbel.in: pairs (bits, Gumbel value in Q32) worked out with 60-digit decimals.

Run: python3 noise.py > gumbel.in
"""

import random
from decimal import ROUND_HALF_EVEN, Decimal, getcontext

getcontext().prec = 60


def gumbel_q32(bits):
    u = Decimal(2 * bits + 1) / Decimal(2**65)
    value = -((-(u.ln())).ln())
    return int((value * 2**32).to_integral_value(rounding=ROUND_HALF_EVEN))


edges = [0, 1, 2, 2**32, 2**62, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2**48 - 1, 2**64 - 2**48, 2**64 - 2**48 + 1]
edges += [2**64 - 2**k for k in range(0, 64, 3)] + [2**k for k in range(5, 64, 4)]
rng = random.Random(1)
draws = [rng.getrandbits(64) for _ in range(60)] + [2**64 - 1 - rng.getrandbits(64 - s) for s in range(1, 60)]
print("&[")
for bits in sorted(set(edges + draws)):
    print(f"    ({bits:#018x}, {gumbel_q32(bits)}),")
print("]")
