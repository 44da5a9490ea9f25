"""Audits the log of a ledger without our code: audit_ledger.py LOG

Checks the chain of lines, every signature, the verdicts under every credit and fine, every payout and every Merkle
root, and prints what each epoch paid.
Needs Python packages `blake3` and `cryptography`. It is the reference for crates/ledger/tests/it/golden.rs and a
second reading of docs/ledger.md. Dividends are computed by stake alone, which is what Yuma gives as long as all
validators have agreed since the first epoch; where they have not, use `essaim ledger audit`.
"""

import base64
import json
import sys
from fractions import Fraction

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# In the order in which a record numbers them.
CHECKS = (
    "malformed signature lease limits prompt weight_version samples_missing vocabulary finish duplicate reward proof_format "
    "activation_exponent activation_mantissa activation_sign activation_spread fingerprint token_margin logprob withheld "
    "seal_mismatch plant_missed verdict_disagrees update_replay"
).split()
MASK = (1 << 64) - 1


def derive(context: str, data: bytes) -> bytes:
    return blake3(data, derive_key_context=context).digest()


def rotate(word: int, by: int) -> int:
    return (word << by | word >> (64 - by)) & MASK if by else word


def permute(s: list) -> list:
    """Keccak-f[1600] on 25 words, word x + 5y."""
    lfsr = 1
    for _ in range(24):
        c = [s[x] ^ s[x + 5] ^ s[x + 10] ^ s[x + 15] ^ s[x + 20] for x in range(5)]
        s = [s[i] ^ c[(i + 4) % 5] ^ rotate(c[(i + 1) % 5], 1) for i in range(25)]
        x, y, current = 1, 0, s[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, s[x + 5 * y] = s[x + 5 * y], rotate(current, (t + 1) * (t + 2) // 2 % 64)
        s = [s[i] ^ (~s[i // 5 * 5 + (i + 1) % 5] & MASK & s[i // 5 * 5 + (i + 2) % 5]) for i in range(25)]
        for j in range(7):
            if lfsr & 1:
                s[0] ^= 1 << ((1 << j) - 1)
            lfsr = (lfsr << 1) ^ (0x171 if lfsr & 0x80 else 0)
    return s


def keccak256(data: bytes) -> bytes:
    padded = bytearray(data + b"\1" + bytes(-(len(data) + 1) % 136))
    padded[-1] |= 0x80
    state = [0] * 25
    for start in range(0, len(padded), 136):
        for i in range(17):
            state[i] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        state = permute(state)
    return b"".join(word.to_bytes(8, "little") for word in state[:4])


def root(leaves: list) -> bytes:
    while len(leaves) > 1:
        pairs = [leaves[i : i + 2] for i in range(0, len(leaves), 2)]
        leaves = [keccak256(b"".join(sorted(pair))) if len(pair) == 2 else pair[0] for pair in pairs]
    return leaves[0] if leaves else bytes(32)


def leaf(terms: dict, account: str, lifetime: int) -> bytes:
    words = [terms["chain_id"], int(terms["rewards"], 16), int(account, 16), lifetime]
    return keccak256(keccak256(b"".join(word.to_bytes(32, "big") for word in words)))


class Bytes:
    """Fields of a record as postcard writes them."""

    def __init__(self, text: str):
        self.all, self.at = bytes.fromhex(text), 2  # format and kind come first

    def take(self, count: int) -> bytes:
        self.at += count
        return self.all[self.at - count : self.at]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    @classmethod
    def of(cls, all_: bytes) -> "Bytes":
        record = cls("")
        record.all, record.at = all_, 0
        return record

    def keys(self) -> list:
        return [self.take(32) for _ in range(self.number())]


def check_record(run: bytes, context: str, record: Bytes, key: bytes) -> None:
    """A signed record is format, kind | 0x80, body, signer, signature; what is signed has the plain kind."""
    body, signer, signature = record.all[2:-96], record.all[-96:-64], record.all[-64:]
    assert signer == key, "signed by somebody else"
    plain = bytes([record.all[0], record.all[1] & 0x7F]) + body
    Ed25519PublicKey.from_public_bytes(key).verify(signature, derive(context, run + plain))


def verdict(run: bytes, terms: dict, text: str) -> dict:
    record = Bytes(text)
    lease, hash_, validator = record.number(), record.take(32), record.number()
    record.number(), record.take(32)  # the draw
    tokens, checked = record.number(), record.number()
    found = set()  # the checks for which it has a number
    for _ in range(checked):
        _, exponent, mean, median, sign, fingerprint, margin, _, largest, average = [record.number() for _ in range(10)]
        above = lambda number: number and number % 2 == 0  # signed numbers are doubled, negative ones odd
        shown = [exponent, mean or median, sign, None, fingerprint, above(margin), above(largest) or above(average)]
        found |= {check for check, number in zip(CHECKS[12:], shown) if number}
        record.take(4 * record.number())
    outcome = record.number()  # 0 valid, 1 invalid, 2 unchecked
    accuses = found | {CHECKS[record.number()]} if outcome == 1 else set()
    check_record(run, "essaim 2026 verdict v1", record, terms["validator_keys"][validator])
    return dict(lease=lease, root=hash_, validator=validator, tokens=tokens, checked=checked, outcome=outcome, accuses=accuses)


def commitment(run: bytes, terms: dict, text: str) -> dict:
    record = Bytes(text)
    lease, worker, _, hash_ = record.number(), record.number(), record.number(), record.take(32)
    check_record(run, "essaim 2026 commitment v1", record, terms["worker_keys"][worker])
    return dict(lease=lease, worker=worker, root=hash_)


def largest_remainder(total: int, shares: list) -> list:
    whole = sum(shares)
    parts = [int(total * share / whole) for share in shares]
    order = sorted(range(len(shares)), key=lambda i: (parts[i] - total * shares[i] / whole, i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


class Book:
    def __init__(self, terms: dict):
        self.terms, self.economy = terms, terms["economy"]
        self.stakes, self.barred, self.lifetimes, self.epochs = {}, set(), {}, 0
        self.credited, self.missed = set(), set()
        self.open_epoch()

    def open_epoch(self) -> None:
        self.tokens, self.points, self.right, self.steps = {}, {}, {}, 0

    def take_votes(self, votes: list, right: int) -> None:
        for vote in votes:
            if vote["outcome"] < 2:
                good, all_ = self.right.get(vote["validator"], (0, 0))
                self.right[vote["validator"]] = (good + (vote["outcome"] == right), all_ + 1)
            if vote["outcome"] == right:
                points = vote["checked"] * self.economy["check_points"] + right * self.economy["fault_points"]
                self.points[vote["validator"]] = self.points.get(vote["validator"], 0) + points

    def account(self, party: str) -> str:
        role, _, number = party.partition(" ")
        return self.terms[role + "s"][int(number)] if number else self.terms[role]

    def claims(self, pool: str) -> list:
        """Parties and what the pool is divided by."""
        unfined = lambda role, units: [
            (f"{role} {number}", Fraction(count)) for number, count in units.items() if f"{role} {number}" not in self.barred
        ]
        voices = {
            number: Fraction(self.stakes.get(f"validator {number}", 0) * good // all_)
            for number, (good, all_) in self.right.items()
        }
        voices = {number: voice for number, voice in voices.items() if f"validator {number}" not in self.barred}
        return {
            "workers": unfined("worker", self.tokens) if sum(voices.values()) else [],
            "checks": unfined("validator", self.points),
            "dividends": unfined("validator", voices),
            "trainer": [("trainer", Fraction(self.steps))],
            "treasury": [("treasury", Fraction(1))],
        }[pool]

    def convict(self, entry: dict, votes: list, answer: dict | None) -> None:
        """What a fine's verdicts must show; whether it needs any is not looked at."""
        party, check = entry["party"], entry["check"]
        assert check != "plant_missed" or party in self.missed, "it missed no planted lie"
        if not votes:
            return
        heard = [vote for vote in votes if f"validator {vote['validator']}" not in self.barred]
        outcomes = [vote["outcome"] for vote in heard]
        if party.startswith("worker"):
            assert f"worker {answer['worker']}" == party and answer["lease"] == entry["lease"], "another's answer"
            assert outcomes.count(1) > outcomes.count(0), "not convicted"
            assert any(check in vote["accuses"] for vote in heard), f"no verdict accuses it of {check}"
        else:
            assert check == "verdict_disagrees", "its evidence is about something else"
            own = next(vote["outcome"] for vote in votes if f"validator {vote['validator']}" == party)
            assert own < 2 and outcomes.count(1 - own) > outcomes.count(own), "not convicted"

    def close(self, entry: dict) -> None:
        economy, epoch = self.economy, self.epochs
        budget = economy["budget_first"] >> epoch // economy["halving_epochs"]
        budget = budget * min(self.steps, economy["epoch_steps"]) // economy["epoch_steps"]
        assert (entry["epoch"], entry["budget"]) == (epoch, budget), "another budget is due"
        pools = ["workers", "checks", "dividends", "trainer", "treasury"] if self.steps else []
        amounts = largest_remainder(budget, [Fraction(economy["split"][pool + "_ppm"]) for pool in pools])
        for pool, amount in zip(pools, amounts):
            claims = [(int(self.account(who), 16), who, units) for who, units in self.claims(pool) if units]
            claims = sorted(claims) or [(0, "treasury", Fraction(1))]
            for (_, who, _), part in zip(claims, largest_remainder(amount, [units for _, _, units in claims])):
                print(f"epoch {epoch}: {who} is paid {part} from {pool}")
                account = self.account(who)
                self.lifetimes[account] = self.lifetimes.get(account, 0) + part
        paid = {account: amount for account, amount in self.lifetimes.items() if amount}
        leaves = [leaf(self.terms, account, paid[account]) for account in sorted(paid, key=lambda text: int(text, 16))]
        assert entry["root"] == root(leaves).hex(), "another root is due"
        assert (entry["lifetime_total"], entry["payees"]) == (sum(paid.values()), len(paid))
        print(f"epoch {epoch}: root {entry['root']}, {sum(paid.values())} paid in all")
        self.epochs += 1
        if self.steps:
            self.open_epoch()


def take(book: Book, run: bytes, entry: dict) -> None:
    what = entry["what"]
    votes = [verdict(run, book.terms, text) for text in entry.get("verdicts", [])]
    is_answer = what == "accepted" or votes and entry["party"].startswith("worker")
    answer = commitment(run, book.terms, entry["commitment"]) if is_answer else None
    if votes:
        about = answer or dict(lease=entry["lease"], root=votes[0]["root"])
        assert all((vote["lease"], vote["root"]) == (about["lease"], about["root"]) for vote in votes), "another answer"
        assert len({vote["validator"] for vote in votes}) == len(votes), "a validator's second verdict"
    if what == "accepted":
        assert answer["lease"] not in book.credited, "that lease was credited before"
        book.credited.add(answer["lease"])
        assert [vote["outcome"] for vote in votes].count(0) > [vote["outcome"] for vote in votes].count(1)
        tokens = min(vote["tokens"] for vote in votes if vote["outcome"] == 0)
        book.tokens[answer["worker"]] = book.tokens.get(answer["worker"], 0) + tokens
        book.take_votes(votes, 0)
    elif what == "fined":
        book.convict(entry, votes, answer)
        if entry["party"].startswith("worker"):
            book.take_votes(votes, 1)
        if entry["check"] != "withheld":
            book.barred.add(entry["party"])
    elif what == "plant_answered" and not entry["caught"]:
        book.missed.add(f"validator {entry['validator']}")
    elif what == "plant_answered":
        number = entry["validator"]
        book.points[number] = book.points.get(number, 0) + book.economy["fault_points"]
    elif what == "stake_seen":
        book.stakes[entry["party"]] = entry["stake"]
    elif what == "slashed":
        book.stakes[entry["party"]] -= entry["amount"]
    elif what == "trained":
        book.steps += 1
    elif what == "epoch_closed":
        book.close(entry)


def accepted(terms: dict, text: str) -> dict:
    """Signed records in full: what a credit leaves out of them stands in the commitment and the terms."""
    packed = Bytes.of(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    body, signature = packed.take(packed.number()), packed.take(64)
    fields = Bytes.of(body)
    fields.number()
    lease = body[: fields.at]
    worker = fields.number()
    answer = bytes([3, 0x84]) + body + terms["worker_keys"][worker] + signature
    verdicts = []
    while packed.at < len(packed.all):
        rest, signature = packed.take(packed.number()), packed.take(64)
        key = terms["validator_keys"][Bytes.of(rest).number()]
        verdicts.append((bytes([3, 0x85]) + lease + body[-32:] + rest + key + signature).hex())
    return dict(what="accepted", commitment=answer.hex(), verdicts=verdicts)


def opened(terms: dict) -> tuple:
    """The run's id, the orchestrator's key, and the terms with all keys."""
    record = Bytes(terms["run"])
    record.take(32)  # the run's seed
    orchestrator, _trainer = record.take(32), record.take(32)
    terms["worker_keys"], terms["validator_keys"] = record.keys(), record.keys()
    return derive("essaim 2026 run id v1", record.all[2:]), orchestrator, terms


def main(path: str) -> None:
    head, unsigned, book = bytes(32), 0, None
    for seq, text in enumerate(open(path, "rb").read().splitlines()):
        line = json.loads(text)
        assert line["seq"] == seq, f"entry {seq} is out of place"
        said = json.dumps(line.get("entry"), separators=(",", ":")).encode()
        if seq == 0:
            run, orchestrator, terms = opened(line["entry"])
            book = Book(terms)
        if "accepted" in line:
            entry, unsigned = accepted(terms, line["accepted"]), unsigned + 1
        else:
            entry, unsigned = line["entry"], 0
            digest = derive("essaim 2026 ledger line v2", run + seq.to_bytes(8, "little") + head + said)
            Ed25519PublicKey.from_public_bytes(orchestrator).verify(bytes.fromhex(line["signature"]), digest)
        take(book, run, entry)
        head = derive("essaim 2026 ledger head v2", head + text)
    for account in sorted(book.lifetimes, key=lambda text: int(text, 16)):
        print(f"{account} has earned {book.lifetimes[account]}")
    print(f"head {head.hex()}, {seq + 1} entries, the last {unsigned} not signed by the orchestrator yet")


if __name__ == "__main__":
    main(sys.argv[1])
