"""Right inputs made wrong, on both interpreters, and the failures of the past to replay.

A script that runs on MicroPython hands what it tests to `report()`. What it tests has `damage`,
which makes the inputs, and `hear(data)`: True if it took them, False if it refused them in the
way that its contract says. Whatever it raises is a defect.
"""

import gc
import json
import random
from binascii import hexlify, unhexlify

CORPUS = __file__.rsplit("/", 3)[0] + "/fuzz/corpus/"
# What readers stumble over: MicroPython's own takes some of these
JSON_TRAPS = (
    b'1e999 -1e999 NaN Infinity [,] ,"$version":1 \xff\xfe \0 " \\ 1e-400 fal {} [] null'.split()
    + b'true 0 -1 1.5 2147483648 "" "x" "\\uzzzz" "\\ud800" : , { } [ ] {1:2} null:1, 1,'.split()
    + [b"9" * 400, b"[" * 300, b'{"a":' * 100]
)
JSON_MARKS = b"{}[]:,"
# Inputs before the heap is looked at: what is kept once for all is there then
_FIRST = 300
_SHOWN_BYTES = 400


def parts(data, marks):
    """`data` in pieces: each of `marks` is one, and what lies between; a quoted text is whole."""
    found, begin, is_quoted = [], 0, False
    for at in range(len(data)):
        if data[at] == 34:
            is_quoted = not is_quoted
        elif data[at] in marks and not is_quoted:
            found += [data[begin:at], data[at : at + 1]]
            begin = at + 1
    return [each for each in found + [data[begin:]] if each]


class Damage:
    """Makes inputs of `seeds`: right ones, each a list of the parts that it is made of.

    One in eight is noise; of the others one half have one to four parts removed, doubled,
    exchanged or replaced, in the other half it is bytes. `near` counts, of those `made`, the
    ones that are still at least half of what they were.
    """

    def __init__(self, seeds, traps, chance=random):
        self.seeds = seeds
        self.traps = traps
        self.chance = chance
        self.made = self.near = 0

    def next(self):
        below = self.chance.randrange
        self.made += 1
        kind = below(8)
        if not kind:
            return bytes([below(256) for _ in range(below(40))])
        pieces = list(self._one(self.seeds))
        size = sum([len(piece) for piece in pieces])
        if kind < 4:
            lost = self._change_bytes(b"".join(pieces))
        else:
            lost = self._change_parts(pieces)
        self.near += lost * 2 <= size
        return self.changed

    def _one(self, of):
        return of[self.chance.randrange(len(of))]

    def _change_parts(self, pieces):
        """How many bytes of the right input are gone."""
        below, lost = self.chance.randrange, 0
        for _ in range(1 + below(4)):
            at, kind = below(len(pieces)), below(5)
            if kind == 0:
                pieces.insert(at, self._one(self.traps))
            elif kind == 1:
                pieces.insert(at, pieces[below(len(pieces))])
            elif kind == 2 and len(pieces) > 1:
                lost += len(pieces.pop(at))
            else:
                lost += len(pieces[at])
                pieces[at] = self._one(self.traps if kind == 3 else self._one(self.seeds))
        self.changed = b"".join(pieces)
        return lost

    def _change_bytes(self, data):
        below, lost = self.chance.randrange, 0
        data = bytearray(data)
        for _ in range(1 + below(4)):
            at, kind = below(len(data) + 1), below(6)
            if kind == 0 and not below(3):
                lost += len(data) - at
                data = data[:at]
            elif kind <= 1:
                lost += min(4, len(data) - at)
                data = data[:at] + data[at + 1 + below(4) :]
            elif kind == 2:
                data = data[:at] + self._one(self.traps) + data[at:]
            elif at < len(data):
                lost += 1
                data[at] = data[at] ^ 1 << below(8) if kind == 3 else below(256)
        self.changed = bytes(data)
        return lost


def corpus(kind):
    """(input, whether it is to be taken) of the file `kind`.json.

    Each has `why`, `hex` or `text`, perhaps `times`; without `taken` either is right.
    """
    with open(CORPUS + kind + ".json") as file:
        entries = json.load(file)
    for each in entries:
        data = unhexlify(each["hex"]) if "hex" in each else each["text"].encode()
        yield data * each.get("times", 1), each.get("taken")


class _Tally:
    def __init__(self, subject):
        self.subject = subject
        self.bad = self.taken = self.heard = 0
        self.first = []

    def hear(self, data, expected=None):
        self.heard += 1
        try:
            is_taken = self.subject.hear(data)
            assert expected in (None, is_taken), "taken" if is_taken else "refused"
            self.taken += is_taken
        except Exception as error:  # noqa: BLE001 - every kind of it is a finding
            self.bad += 1
            if len(self.first) < 3:
                self.first.append([repr(error), hexlify(data[:_SHOWN_BYTES]).decode()])


def report(subject, kind, count, seed):
    """Let `subject` hear the corpus and `count` inputs; print what came of it."""
    random.seed(seed)
    tally, damage = _Tally(subject), subject.damage
    for data, expected in corpus(kind):
        tally.hear(data, expected)
    replayed = tally.heard
    for _ in range(min(count, _FIRST)):
        tally.hear(damage.next())
    damage.made = damage.near = tally.taken = 0
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(count):
        tally.hear(damage.next())
    data = None
    gc.collect()
    found = {
        "replayed": replayed,
        "taken": tally.taken,
        "near": damage.near,
        "growth": gc.mem_alloc() - before,
        "bad": tally.bad,
        "first": tally.first,
    }
    print("result " + json.dumps(found))
