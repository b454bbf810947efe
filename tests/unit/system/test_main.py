"""main.py: what it starts, and that every way out has the relays off first."""

import asyncio
import json
import os
import sys

from doubles.boot_world import program
from doubles.keys import KEY
from expect import raises

FOLDER = "build/tests"


class Reset(SystemExit):
    """Where a board would reset, as the UNIX board does it."""


class Life:
    """One run of main.py: board, app and boot.py's functions note what happens in `told`."""

    WATCHDOG_LIMIT_MS = 8388
    data_path = FOLDER
    cloud = None

    def __init__(self, safe=False, boots=1, run=None, start=None, leave=None):
        self.told = []
        self.space = {
            "__name__": "__main__",
            "print": self._say,
            "safe": safe,
            "boots": boots,
            "slot": "a",
            "relays_off": lambda: self.told.append("off"),
            "root": FOLDER + "/main-",
            "good": b"a good",
            "begin": lambda: self.told.append("begin"),
        }
        self.said = []
        self.keys = None
        self.on_up = None
        self._run, self._start, self._leave = run, start, leave

    # ---- the board

    def watchdog(self, timeout_ms):
        self.told.append("watchdog %d" % timeout_ms)
        return self

    def feed(self):
        if "feed" not in self.told:
            self.told.append("feed")

    def hold_watchdog(self, ms):
        self.told.append("hold %d" % ms)

    def console(self):
        return self.keys

    def reset(self):
        self.told.append("reset")
        raise Reset()

    # ---- the assembly and the app

    def assemble(self, board):
        assert board is self
        if self._start:
            raise self._start
        return self

    def forget_builders(self):
        self.told.append("forget")

    async def run(self):
        self.told.append("run")
        await asyncio.sleep(0)
        if self._run:
            raise self._run

    def leave(self):
        self.told.append("leave")
        if self._leave:
            raise self._leave

    def _say(self, *words, **named):
        self.said.append(" ".join([str(word) for word in words]))

    # ---- running

    def live(self, missing=(), code=None):
        put = {"board": self, "thermostat.assembly": self}
        for name in missing:
            put[name] = None
        before = {name: sys.modules.get(name) for name in put}
        for name in put:
            sys.modules[name] = put[name]
        try:
            exec(code or program("main.py"), self.space)
        finally:
            for name in put:
                sys.modules.pop(name)
                if before[name] is not None:
                    sys.modules[name] = before[name]
        return self.told


def content(name):
    with open(FOLDER + "/main-" + name, "rb") as file:
        return file.read()


def fresh():
    """No crash of an earlier test, told or untold."""
    for name in os.listdir(FOLDER):
        if name.startswith("crash.txt"):
            os.remove(FOLDER + "/" + name)


STARTED = ["watchdog 8388", "hold 20000", "begin", "forget", "run"]


def test_ctrl_c_ends_at_the_prompt_with_relays_off_and_the_watchdog_held():
    life = Life(run=KeyboardInterrupt())
    assert life.live() == STARTED + ["off", "hold 600000", "leave"]
    assert life.space["app"] is life  # for whoever looks at it from the prompt
    assert content("boots") == b"1"


def test_coming_up_is_told_and_kept():
    life = Life(boots=4)

    async def run():
        life.on_up()
        raise KeyboardInterrupt

    life.run = run
    life.live()
    assert content("boots") == b"0"
    assert content("slot") == b"a good"


class Cloud:
    """Its own session: takes what is told of a crash."""

    def __init__(self):
        self.session = self
        self.crashes = []

    def telemetry_topic(self):
        return b""

    def send(self, topic, payload, size):
        self.crashes.append(json.loads(payload)["lastCrash"])


def come_up(cause):
    """The crashes that the hub is told of by a start for this cause that comes up."""
    life = Life()
    life.cloud = Cloud()
    life.reset_cause = lambda: cause

    async def run():
        life.on_up()
        assert "system.recovery" not in sys.modules
        raise KeyboardInterrupt

    life.run = run
    life.live()
    return life.cloud.crashes


def test_the_hub_is_told_once_how_the_last_start_ended():
    fresh()
    assert come_up("power_on") == []
    # Nothing could be noted by a start that the watchdog ended
    assert come_up("watchdog") == ["watchdog"]
    for cause in ("watchdog", "software"):
        fresh()
        with raises(Reset):
            Life(run=ValueError("x")).live()
        (crash,) = come_up(cause)
        assert crash.startswith("crash, slot a, start 2: ValueError\n"), crash
        assert come_up("software") == []


def test_an_operator_finds_app_and_board_by_their_names():
    scopes = []

    class Attaching:
        def attach(self, stream, scope):
            scopes.append((stream, scope))

    for safe in (False, True):
        life = Life(safe=safe, run=KeyboardInterrupt())
        life.feed = lambda: (_ for _ in ()).throw(KeyboardInterrupt())
        life.keys = object()
        before = sys.modules.get("system.keys")
        sys.modules["system.keys"] = Attaching()
        try:
            life.live()
        finally:
            sys.modules.pop("system.keys")
            if before is not None:
                sys.modules["system.keys"] = before
        stream, scope = scopes.pop()
        assert stream is life.keys
        assert scope == {"app": None if safe else life, "board": life}


def test_a_second_ctrl_c_shortens_the_farewell_and_no_more():
    life = Life(run=KeyboardInterrupt(), leave=KeyboardInterrupt())
    with raises(KeyboardInterrupt):
        life.live()
    assert life.told[-3:] == ["off", "hold 600000", "leave"]


def test_any_other_end_is_noted_and_resets():
    for error in (ValueError("x"), MemoryError(), asyncio.CancelledError()):
        life = Life(run=error)
        with raises(Reset):
            life.live()
        assert life.told == STARTED + ["off", "leave", "reset"]
    with open(FOLDER + "/crash.txt") as file:
        assert "crash, slot a, start 2: ValueError\n" in file.read()


def test_an_app_that_returns_resets():
    life = Life()
    with raises(Reset):
        life.live()
    assert life.told[len(STARTED)] == "reset"


def test_a_start_that_fails_resets_without_an_app_to_leave():
    life = Life(start=ValueError("SharedAccessKey=" + KEY))
    with raises(Reset):
        life.live()
    assert life.told == STARTED[:3] + ["off", "reset"]
    assert KEY not in "".join(life.said)
    with open(FOLDER + "/crash.txt") as file:
        assert KEY not in file.read()


def test_a_farewell_that_fails_resets_too():
    for leave in (OSError(5), KeyboardInterrupt()):
        life = Life(run=ValueError("x"), leave=leave)
        with raises(Reset):
            life.live()
        assert life.told[-3:] == ["off", "leave", "reset"]


def test_a_crash_that_cannot_be_noted_resets_too():
    life = Life(run=ValueError("x"))
    with raises(Reset):
        life.live(missing=("system.recovery",))
    assert life.told[-2:] == ["off", "reset"]
    assert "ValueError" in life.said[0]


def test_the_end_of_the_program_is_a_soft_reset_with_relays_off():
    life = Life(run=SystemExit(3))
    with raises(SystemExit):
        life.live()
    assert life.told == STARTED + ["off", "leave"]


def test_safe_mode_starts_nothing_and_resets_in_the_end():
    life = Life(safe=True)
    with raises(Reset):
        life.live(code=program("main.py", "\n_SAFE_S = 300\n", "\n_SAFE_S = 1\n"))
    assert life.told[:5] == ["watchdog 8388", "hold 20000", "watchdog 8388", "feed", "reset"]
    assert life.said == ["safe mode"]


def test_safe_mode_does_without_a_console_that_is_broken():
    life = Life(safe=True)
    life.keys = object()
    code = program("main.py", "\n_SAFE_S = 300\n", "\n_SAFE_S = 0\n")
    with raises(Reset):
        life.live(missing=("system.keys",), code=code)
    assert life.said[-1] == "safe mode"
    assert life.said[0].startswith("no console")


def test_ctrl_c_in_safe_mode_ends_at_the_prompt():
    life = Life(safe=True)
    life.feed = lambda: (_ for _ in ()).throw(KeyboardInterrupt())
    life.live()
    assert life.told[-2:] == ["off", "hold 600000"]
