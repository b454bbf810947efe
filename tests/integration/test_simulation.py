"""The UNIX board and its launcher with a real interpreter, and small firmware of our own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from host_tools.simulated_device import interpreter
from host_tools.simulation import Parts, SimulationError, Thermostat

ROOT = Path(__file__).resolve().parent.parent.parent


BOOT = """
import board
board.relay_pin(0)
board.relay_pin(1)
"""


class Trial:
    """A thermostat with the firmware `main`, its console lines and its house."""

    def __init__(self, folder: Path, main: str, **environment: str) -> None:
        firmware = folder / "firmware"
        if not firmware.exists():
            for room in ("drivers", "system"):
                shutil.copytree(ROOT / "firmware" / room, firmware / room)
        (firmware / "boot.py").write_text(BOOT)
        (firmware / "main.py").write_text(main)
        board = ROOT / "boards" / "UNIX"
        parts = Parts(interpreter(), firmware, board, folder)
        self.lines: list[str] = []
        self.data = folder / "data"
        self.thermostat = Thermostat(parts, self.data, environment, self.lines.append)

    def run(self, what: Callable[[Trial], Awaitable[int | None]]) -> int | None:
        async def live() -> int | None:
            async with self.thermostat:
                return await asyncio.wait_for(what(self), 30)

        return asyncio.run(live())

    def run_to_its_end(self) -> int | None:
        return self.run(lambda trial: trial.thermostat.wait())

    async def line(self, text: str) -> None:
        while not any(text in line for line in self.lines):
            await asyncio.sleep(0.01)

    def room(self) -> dict[str, object]:
        state: dict[str, object] = json.loads((self.data / "room.json").read_text())
        return state


MEASURE = """
import time, board
from drivers.reading import Reading
from drivers.registry import open_sensor

sensors = [open_sensor("sht4x", board.i2c(0)), open_sensor("bme280", board.i2c(1))]
readings = [Reading(), Reading()]

def measure():
    for sensor in sensors:
        sensor.start()
    time.sleep_ms(12)
    for sensor, reading in zip(sensors, readings):
        sensor.finish(reading)
    return [reading.temperature_centi_c for reading in readings]
"""


def test_a_heated_room_warms_and_the_other_cools(tmp_path: Path) -> None:
    main = MEASURE + (
        "relay = board.relay_pin(0)\n"
        "print(*measure())\n"
        "relay.value(1)\n"
        "time.sleep_ms(1000)\n"
        "print(*measure())\n"
    )
    trial = Trial(tmp_path, main, THERMO_SPEED="1800")
    assert trial.run_to_its_end() == 0
    before, after = ([int(word) for word in line.split()] for line in trial.lines)
    assert after[0] > before[0] + 100
    assert after[1] < before[1] - 100
    rooms = trial.room()["rooms"]
    assert isinstance(rooms, list)
    assert [room["relay"] for room in rooms] == [False, False]  # the power is off now


def test_a_house_that_is_late_is_waited_for(tmp_path: Path) -> None:
    """The firmware is killed while the house sleeps: it has yet to see the power go off."""
    main = MEASURE + (
        "board.relay_pin(0).value(1)\n"
        "time.sleep_ms(1100)\n"
        "print(measure(), 'on')\n"
        "time.sleep(30)\n"
    )
    trial = Trial(tmp_path, main)

    async def live(trial: Trial) -> int:
        await trial.line(" on")
        house, firmware = trial.thermostat._house, trial.thermostat.pid
        assert house is not None
        assert firmware is not None
        house.send_signal(signal.SIGSTOP)
        os.kill(firmware, signal.SIGKILL)
        asyncio.get_running_loop().call_later(0.3, house.send_signal, signal.SIGCONT)
        return await trial.thermostat.wait()

    assert trial.run(live) == -signal.SIGKILL
    rooms = trial.room()["rooms"]
    assert isinstance(rooms, list)
    assert [room["relay"] for room in rooms] == [False, False]


def test_the_real_record_is_the_outside(tmp_path: Path) -> None:
    record = tmp_path / "record.csv"
    rows = "\n".join(f"2010/01/01 {hour:02d}:00,{41 + hour}" for hour in range(24))
    record.write_text(f"date,temp\n{rows}\n")
    trial = Trial(tmp_path, MEASURE + "measure()", THERMO_OUTSIDE=str(record))
    trial.thermostat._environment["THERMO_OUTSIDE_ROW"] = "9"
    assert trial.run_to_its_end() == 0
    outside = trial.room()["outside_c"]
    assert isinstance(outside, float)
    assert abs(outside - 10) < 0.1


def test_rooms_survive_a_reset(tmp_path: Path) -> None:
    main = MEASURE + (
        "print(board.reset_cause(), *measure())\n"
        "if board.reset_cause() == 'software':\n"
        "    raise SystemExit\n"
        "board.relay_pin(0).value(1)\n"
        "time.sleep_ms(500)\n"
        "print('later', *measure())\n"
        "board.reset()\n"
        "print('never')\n"
    )
    trial = Trial(tmp_path, main, THERMO_SPEED="3600")
    assert trial.run_to_its_end() == 0
    told = [line.split() for line in trial.lines if not line.startswith("simulation:")]
    assert [words[0] for words in told] == ["power_on", "later", "software"]
    cold, warm, after = (int(words[1]) for words in told)
    assert warm > cold + 50
    # The process was away for a moment, during which the room lost a little.
    assert warm - 150 < after <= warm + 5


def test_the_watchdog_resets_a_firmware_that_hangs(tmp_path: Path) -> None:
    main = (
        "import board, time\n"
        "print(board.reset_cause())\n"
        "if board.reset_cause() == 'watchdog':\n"
        "    raise SystemExit\n"
        "watchdog = board.watchdog(600)\n"
        "for _ in range(20):\n"
        "    time.sleep_ms(60)\n"
        "    watchdog.feed()\n"
        "print('fed')\n"
        "while True:\n"
        "    pass\n"
    )
    trial = Trial(tmp_path, main)
    assert trial.run_to_its_end() == 0
    assert trial.lines == ["power_on", "fed", "simulation: reset (watchdog)", "watchdog"]


def test_the_watchdog_bites_in_a_call_that_hangs_too(tmp_path: Path) -> None:
    main = (
        "import board, time\n"
        "if board.reset_cause() == 'watchdog':\n"
        "    raise SystemExit\n"
        "board.watchdog(300)\n"
        "time.sleep(20)\n"
    )
    began = time.monotonic()
    assert Trial(tmp_path, main).run_to_its_end() == 0
    assert time.monotonic() - began < 5


HOLD = """
import board, time
if board.reset_cause() == 'watchdog':
    raise SystemExit
%s
board.hold_watchdog(1200)
for tenth in range(100):
    print(tenth)
    time.sleep_ms(100)
"""


def tenths_until_the_bite(tmp_path: Path, arm: str, **environment: str) -> int:
    trial = Trial(tmp_path, HOLD % arm, **environment)
    assert trial.run_to_its_end() == 0
    assert trial.lines[-1] == "simulation: reset (watchdog)"
    return int(trial.lines[-2])


def test_a_held_watchdog_bites_when_the_hold_is_over(tmp_path: Path) -> None:
    # Limit and hold one after the other; a bite is seen up to 50 ms late
    assert 14 <= tenths_until_the_bite(tmp_path, "board.watchdog(300)") <= 25


def test_a_soft_reset_leaves_the_watchdog_armed(tmp_path: Path) -> None:
    armed = {"THERMO_WATCHDOG_ARMED": "300"}
    assert 14 <= tenths_until_the_bite(tmp_path, "", **armed) <= 25
    # ... and nothing feeds it any more, until somebody does
    main = "import board, time\nprint(board.reset_cause())\ntime.sleep_ms(2500)\n"
    trial = Trial(tmp_path, main, **armed)
    trial.thermostat._reset_times = deque(maxlen=1)
    with pytest.raises(SimulationError, match="reset itself more than 1 times"):
        trial.run_to_its_end()
    assert trial.lines == ["power_on", "simulation: reset (watchdog)", "watchdog"]


def test_a_watchdog_that_is_set_again_is_one_and_no_longer_held(tmp_path: Path) -> None:
    main = (
        "import board, time\n"
        "from simulated.watchdog import armed_ms\n"
        "if board.reset_cause() == 'watchdog':\n"
        "    raise SystemExit\n"
        "board.hold_watchdog(20000)\n"
        "print(armed_ms())\n"
        "board.watchdog(300)\n"
        "board.hold_watchdog(20000)\n"
        "time.sleep_ms(900)\n"
        "watchdog = board.watchdog(1500)\n"
        "print(armed_ms())\n"
        "for _ in range(10):\n"
        "    time.sleep_ms(100)\n"
        "    watchdog.feed()\n"
        "time.sleep_ms(900)\n"
        "print('alive')\n"
        "time.sleep(20)\n"
    )
    trial = Trial(tmp_path, main)
    assert trial.run_to_its_end() == 0
    assert trial.lines == ["0", "1500", "alive", "simulation: reset (watchdog)"]


def test_collecting_garbage_beside_the_watchdog_is_safe(tmp_path: Path) -> None:
    main = (
        "import board, gc\n"
        "watchdog = board.watchdog(2000)\n"
        "for _ in range(400):\n"
        "    kept = [bytearray(500) for _ in range(100)]\n"
        "    gc.collect()\n"
        "    watchdog.feed()\n"
        "print('whole')\n"
    )
    trial = Trial(tmp_path, main)
    assert trial.run_to_its_end() == 0
    assert trial.lines == ["whole"]


def test_interrupt_ends_with_zero_and_relays_off(tmp_path: Path) -> None:
    main = (
        "import asyncio, board\n"
        "board.relay_pin(1).value(1)\n"
        "async def main():\n"
        "    print('up')\n"
        "    while True:\n"
        "        await asyncio.sleep(1)\n"
        "asyncio.run(main())\n"
    )

    async def interrupt(trial: Trial) -> int | None:
        await trial.line("up")
        return await trial.thermostat.stop()

    trial = Trial(tmp_path, main)
    assert trial.run(interrupt) == 0
    rooms = trial.room()["rooms"]
    assert isinstance(rooms, list)
    assert not rooms[1]["relay"]


def test_an_uncaught_exception_is_printed_and_ends_with_one(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "print('up')\nraise ValueError('too warm')\n")
    assert trial.run_to_its_end() == 1
    assert trial.lines[0] == "up"
    assert "Traceback" in trial.lines[1]
    assert trial.lines[-1] == "ValueError: too warm"


def test_reset_out_of_any_task(tmp_path: Path) -> None:
    main = (
        "import asyncio, board\n"
        "if board.reset_cause() == 'software':\n"
        "    raise SystemExit(3)\n"
        "async def other():\n"
        "    board.reset()\n"
        "async def main():\n"
        "    asyncio.create_task(other())\n"
        "    await asyncio.sleep(10)\n"
        "asyncio.run(main())\n"
    )
    assert Trial(tmp_path, main).run_to_its_end() == 3


def test_the_heap_is_as_small_as_asked(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "import board\nprint(board.free_memory() + board.heap_in_use())\n")
    assert trial.run_to_its_end() == 0
    assert 250_000 < int(trial.lines[0]) < 262_144


def test_two_boards_side_by_side(tmp_path: Path) -> None:
    main = MEASURE + (
        "print(board.unique_id())\nfor _ in range(20):\n    measure()\n    time.sleep_ms(30)\n"
    )
    trials = [Trial(tmp_path / name, main, THERMO_SPEED="60") for name in ("one", "two")]

    async def live() -> list[int]:
        for trial in trials:
            await trial.thermostat.start()
        return await asyncio.gather(*(trial.thermostat.wait() for trial in trials))

    assert asyncio.run(live()) == [0, 0]
    assert trials[0].lines != trials[1].lines


def test_room_json_can_be_read_at_any_time(tmp_path: Path) -> None:
    main = MEASURE + "print('up')\nwhile True:\n    measure()\n"

    async def watch(trial: Trial) -> int | None:
        await trial.line("up")
        for _ in range(100):
            trial.room()
            await asyncio.sleep(0.01)
        return await trial.thermostat.stop()

    assert Trial(tmp_path, main).run(watch) == 0


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    trial = Trial(tmp_path, MEASURE, THERMO_SPEED="fast")
    with pytest.raises(SimulationError, match="house has ended"):
        trial.run_to_its_end()
    assert any("THERMO_SPEED=fast" in line for line in trial.lines)


def test_an_interrupt_at_any_moment_of_the_start_ends_it(tmp_path: Path) -> None:
    async def interrupt(trial: Trial, after_s: float) -> int | None:
        await asyncio.sleep(after_s)
        return await trial.thermostat.stop(grace_s=3)

    for step in range(12):
        trial = Trial(tmp_path, MEASURE + "while True:\n    measure()\n")
        code = trial.run(lambda one, wait=step * 0.01: interrupt(one, wait))  # type: ignore[misc]
        assert code in (0, 1, -signal.SIGINT), (step, code, trial.lines)
