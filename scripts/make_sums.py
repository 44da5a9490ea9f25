#!/usr/bin/env python3
"""Writes easy sums in words, one JSON line each, in GSM8K's form: {"question": ..., "answer": "... #### 42"}.

Usage: scripts/make_sums.py OUT.jsonl [ROWS] [SEED] [MAX]      (6000 rows, seed 1, numbers of 1 to 20)

Every question is different; the same arguments always give the same file.
"""
import json
import random
import sys

NAMES = ["Anna", "Tom", "Mia", "Ben", "Lea", "Sam", "Nora", "Paul", "Ida", "Max"]
THINGS = ["apples", "coins", "books", "stickers", "marbles", "pens", "cards", "eggs"]


def add(rng, a, b):
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    return rng.choice([
        f"What is {a} + {b}?",
        f"Compute {a} + {b}.",
        f"What is the sum of {a} and {b}?",
        f"{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?",
        f"There are {a} {thing} in one box and {b} {thing} in another. How many {thing} are there in all?",
    ]), f"{a} + {b} = {a + b}.\n#### {a + b}"


def subtract(rng, a, b):
    a, b = max(a, b), min(a, b)
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    return rng.choice([
        f"What is {a} minus {b}?",
        f"Compute {a} - {b}.",
        f"{name} had {a} {thing} and gave away {b}. How many {thing} does {name} have left?",
        f"A shop had {a} {thing} and sold {b}. How many {thing} are left?",
    ]), f"{a} - {b} = {a - b}.\n#### {a - b}"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 6000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    largest = int(sys.argv[4]) if len(sys.argv) > 4 else 20
    seen = set()
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        while len(seen) < rows:
            question, answer = rng.choice([add, subtract])(rng, rng.randint(1, largest), rng.randint(1, largest))
            if question not in seen:
                seen.add(question)
                out.write(json.dumps({"question": question, "answer": answer}) + "\n")


if __name__ == "__main__":
    main()
