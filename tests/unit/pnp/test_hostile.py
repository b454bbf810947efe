"""Thousands of damaged twins, patches and commands, the same on every run.

Whatever comes: no exception, no set point out of bounds, every report a bounded JSON object,
and afterwards a device that works as before.
"""

import json

from doubles.appliance import DEFAULT, HIGHEST, LOWEST, Bench, ack, bare

INFINITY = json.loads("1e999")
ODD = (
    None,
    True,
    False,
    0,
    -1,
    1 << 31,
    1 << 63,
    10**400,
    -(10**400),
    0.1,
    -0.0,
    1e308,
    INFINITY,
    -INFINITY,
    INFINITY - INFINITY,
    "",
    "c",
    "22",
    "x" * 4096,
    "\x00\x1b[31m\n",
    "é\ud800" if len("\ud800") == 1 else "é",
    [],
    [[]],
    [22],
    {},
    {"value": 22},
    {"__t": "c"},
    {"": {}},
)
ODD_NAMES = (
    "",
    "$version",
    "__t",
    "value",
    "thermostat1",
    "targetTemperature",
    "serialNumber",
    "*",
)


class Numbers:
    """Park and Miller's minimal standard generator: small, and equal everywhere."""

    def __init__(self, seed):
        self._state = seed

    def below(self, n):
        self._state = self._state * 16807 % 2147483647
        return self._state % n

    def choice(self, values):
        return values[self.below(len(values))]


def twin(numbers):
    """A valid twin as a hub would serve it, with set points from cold to hot."""
    version = 1 + numbers.below(30)
    desired = {"$version": version}
    reported = {"$version": 1 + numbers.below(9), "serialNumber": "abc"}
    for name in ("thermostat1", "thermostat2"):
        if numbers.below(4):
            value = numbers.below(9000) / 100 - 20
            desired[name] = {"__t": "c", "targetTemperature": value}
            held = {"value": value, "ac": 200, "av": version, "ad": "ok"}
            reported[name] = {"__t": "c", "targetTemperature": held}
    return {"desired": desired, "reported": reported}


def damage(numbers, node):
    """Replace, remove, add or nest one thing somewhere below `node`."""
    while True:
        names = sorted([name for name in node if isinstance(name, str)])
        if not names:
            node[numbers.choice(ODD_NAMES)] = numbers.choice(ODD)
            return
        name = numbers.choice(names)
        below = node[name]
        if isinstance(below, dict) and numbers.below(4):
            node = below
            continue
        kind = numbers.below(8)
        if kind < 4:
            node[name] = numbers.choice(ODD)
        elif kind == 4:
            del node[name]
        elif kind == 5:
            node[numbers.choice(ODD_NAMES)] = below
        elif kind == 6:
            node[name] = {name: below, "__t": "c"}
        else:
            node[numbers.choice((5, None, True, -1.5))] = below
        return


def damaged(numbers, make):
    document = make(numbers)
    for _ in range(numbers.below(4)):
        damage(numbers, document)
    return document


def check(bench):
    """Take the reports that are due: JSON of bounded size. Set points are within bounds."""
    bench.log.records.clear()
    for _ in range(20):
        report = bench.device.next_report()
        if report is None:
            break
        text = json.dumps(report)
        assert len(text) <= 1500
        json.loads(text)
        bench.device.on_reported(204)
    else:
        raise AssertionError("reports without end")
    for name in bench.zones:
        zone = bench.zones[name]
        assert LOWEST <= zone.target <= HIGHEST
        assert all(LOWEST <= value <= HIGHEST for value in zone.applied)
        zone.applied.clear()


def test_damaged_twins():
    numbers = Numbers(20261121)
    bench = Bench()
    for _ in range(4000):
        bench.device.on_twin(damaged(numbers, twin))
        check(bench)
    still_works(bench)


def test_damaged_patches():
    numbers = Numbers(4711)
    bench = Bench()
    bench.hub.connect()
    for _ in range(4000):
        patch = damaged(numbers, lambda numbers: twin(numbers)["desired"])
        if isinstance(patch.get("$version"), int) and numbers.below(4):
            patch["$version"] = bench.version() % (1 << 40)
        bench.device.on_desired(patch)
        check(bench)
    still_works(bench)


def test_damaged_text():
    """Bytes changed in the JSON itself: what the parser still takes goes to the device."""
    numbers = Numbers(99)
    bench = Bench()
    taken = 0
    for _ in range(3000):
        text = bytearray(json.dumps(twin(numbers)).encode())
        for _ in range(1 + numbers.below(3)):
            text[numbers.below(len(text))] = numbers.choice(b'{}[]",:0123456789-eE.tfn\\u')
        try:
            document = json.loads(text)
        except (ValueError, TypeError):
            # TypeError: MicroPython's parser met a list or an object where a key belongs
            continue
        taken += 1
        bench.device.on_twin(document)
        check(bench)
    assert taken > 300, taken
    still_works(bench)


def test_damaged_commands():
    numbers = Numbers(5)
    bench = Bench()
    called = []
    bench.device.component().bind_command("reboot", called.append)
    bench.device.component("thermostat1").bind_command("getMaxMinReport", lambda since: {})
    names = ("reboot", "thermostat1*getMaxMinReport", "thermostat2*getMaxMinReport")
    for _ in range(4000):
        name = numbers.choice(names)
        if numbers.below(2):
            at = numbers.below(len(name))
            name = name[:at] + numbers.choice(("*", "\x00", "", "x", "**")) + name[at + 1 :]
        request = numbers.choice(ODD + ("2026-11-21T05:35:00Z", 5))
        status, response = bench.device.on_command(name, request)
        bench.log.records.clear()
        assert status in (200, 400, 404)
        json.loads(json.dumps(response))
        assert status == 200 or list(response) == ["error"]
    assert called
    assert all(-(1 << 31) <= delay < 1 << 31 for delay in called)


def still_works(bench):
    bench.hub.desired = {"$version": 3, "thermostat1": {"__t": "c", "targetTemperature": 31}}
    bench.hub.reported = {"$version": 1}
    (report,) = bench.hub.connect()
    assert bare(report["thermostat1"]["targetTemperature"]) == ack(31, 200, 3)
    assert bare(report["thermostat2"]["targetTemperature"]) == ack(DEFAULT, 203, 0)
    assert bench.hub.desire({"thermostat2": {"targetTemperature": 50}})
    assert bench.zones["thermostat2"].target == DEFAULT
