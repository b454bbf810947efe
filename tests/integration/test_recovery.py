"""Software that does not work: every start a process, and every way to fail."""

from __future__ import annotations

import asyncio
import random
import re
import signal
from collections import Counter
from pathlib import Path

import pytest
from slots import GOOD, ROOT, Slots, marker

from host_tools.simulation import RESET_EXIT_CODE, WATCHDOG_EXIT_CODES

HEAD = """
import asyncio, board, os, sys, time
def forget_builders(): pass
class App:
    async def run(self):
        board.set_pin(0, 1)
        board.set_pin(1, 1)
        await asyncio.sleep_ms(%d)
        %s
    def leave(self): pass
def assemble(board):
    return App()
"""
RAISE = (
    "raise ValueError('broken')",
    "raise MemoryError()",
    "raise OSError(5)",
    "raise RuntimeError('x' * 3000)",
    "raise asyncio.CancelledError()",
    "sys.exit(1)",
    "board.reset()",
    "x = bytearray(1 << 20)",
    "return",
)
HANG = ("time.sleep(60)", "await asyncio.sleep(60)", "while True: time.sleep_ms(1)")
ASSEMBLY = (ROOT / "firmware" / "thermostat" / "assembly.py").read_text()


def bad_build(chance: random.Random) -> tuple[str, str]:
    """(kind, the text of thermostat/assembly.py)"""
    kind = chance.choice(
        ("import error", "exception at start", "hang", "crash later", "cut short", "killed")
    )
    if kind == "import error":
        name = chance.choice(("thermostat.nowhere", "drivers", "system.store"))
        return kind, chance.choice((f"import {name}\n", f"def assemble(board):\n import {name}\n"))
    if kind == "exception at start":
        line = chance.choice(RAISE[:4] + RAISE[5:8])
        head = "import asyncio, board, sys\nboard.set_pin(0, 1)\n"
        return kind, head + chance.choice((line, f"def assemble(board):\n {line}\n"))
    if kind == "hang":
        at_start = f"import time\nimport board\nboard.set_pin(1, 1)\n{HANG[0]}\n"
        return kind, chance.choice((at_start, HEAD % (0, chance.choice(HANG))))
    if kind == "crash later":
        return kind, HEAD % (chance.randrange(120), chance.choice(RAISE))
    if kind == "cut short":
        return kind, ASSEMBLY[: chance.randrange(len(ASSEMBLY))]
    return kind, HEAD % (20, "os.system('kill -9 $PPID'); time.sleep(60)")


async def starts_to_safe_mode(board: Slots) -> int:
    """How many bad starts there were before the one that is safe mode."""
    for starts in range(8):
        code = await board.start(until="safe mode")
        if code is None:
            # Whatever was on before: off in safe mode, and after it
            assert board.pins_then == "00", board.lines
            assert board.pins == "00"
            return starts
        was_cut_off = code in (*WATCHDOG_EXIT_CODES, -signal.SIGKILL)
        assert was_cut_off or board.pins == "00", (code, board.lines)
        assert was_cut_off or code in (RESET_EXIT_CODE, 1), (code, board.lines)
        if was_cut_off or code == RESET_EXIT_CODE:
            board.power_off()
    raise AssertionError(f"no safe mode: {board.lines}")


@pytest.mark.timeout(110)
def test_two_hundred_bad_builds_end_in_safe_mode(tmp_path: Path) -> None:
    chance = random.Random(3)
    kinds: Counter[str] = Counter()

    def board(number: int) -> Slots:
        builds = {}
        for slot in chance.choice(("a", "b", "ab", "ab")):
            kind, builds[slot] = bad_build(chance)
            kinds[kind] += 1
        marked = chance.choice(("", "rubbish", marker("a", "good"), marker("b", "trial")))
        return Slots(tmp_path / str(number), builds, marked)

    async def live() -> list[int | BaseException]:
        room = asyncio.Semaphore(6)

        async def one(slots: Slots) -> int:
            async with room:
                return await starts_to_safe_mode(slots)

        tasks = [one(board(number)) for number in range(200)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(live())
    assert [one for one in found if isinstance(one, BaseException)] == []
    starts = Counter(found)
    print(kinds, starts)
    assert len(kinds) == 6
    assert set(starts) == {5}


def test_after_safe_mode_comes_one_try(tmp_path: Path) -> None:
    board = Slots(tmp_path / "board", {"a": "raise ValueError\n"})

    async def live() -> None:
        assert await starts_to_safe_mode(board) == 5
        for _ in range(2):
            assert await starts_to_safe_mode(board) == 1
        # Left alone, safe mode resets by itself; and software that works ends it for good
        (board.folder / "main.py").write_text(board.text("main.py").replace("= 100", "= 4"))
        assert await board.start() == RESET_EXIT_CODE
        assert board.lines[-1] != "safe mode"
        assert await board.start() == RESET_EXIT_CODE
        assert board.lines[-1] == "safe mode"
        (board.folder / "a" / "thermostat" / "assembly.py").write_text(GOOD)
        assert await board.start(until="up a") is None
        assert board.text("boots") == "0"

    asyncio.run(live())


def test_a_trial_that_does_not_come_up_has_two_starts(tmp_path: Path) -> None:
    for number, bad in enumerate(
        ("raise ValueError\n", HEAD % (0, HANG[0]), HEAD % (50, RAISE[0]))
    ):
        board = Slots(tmp_path / str(number), {"a": GOOD, "b": bad}, marker("b", "trial"))

        async def live(board: Slots) -> None:
            for _ in range(2):
                assert await board.start(until="up") is not None
                assert board.text("slot") == marker("b", "trial")
            assert await board.start(until="up a") is None
            assert board.text("slot") == marker("a", "good")
            assert board.text("boots") == "0"

        asyncio.run(live(board))


def test_a_trial_that_comes_up_is_good(tmp_path: Path) -> None:
    board = Slots(tmp_path / "board", {"a": "raise ValueError\n", "b": GOOD}, marker("b", "trial"))
    assert asyncio.run(board.start(until="up b")) is None
    assert board.text("slot") == marker("b", "good")
    assert board.lines[-1] == "up b"
    assert board.pins_then == "10"
    assert board.pins == "00"


def test_a_slot_whose_board_is_broken_is_passed_over(tmp_path: Path) -> None:
    board = Slots(tmp_path / "board", {"a": GOOD, "b": GOOD}, marker("b", "good"))
    (board.folder / "b" / "board.py").write_text("import nowhere\n")
    assert asyncio.run(board.start(until="up a")) is None
    assert any("nowhere" in line for line in board.lines)
    assert board.text("slot") == marker("a", "good")


def test_without_any_board_it_ends_where_a_board_shows_its_prompt(tmp_path: Path) -> None:
    board = Slots(tmp_path / "board", {"a": GOOD})
    (board.folder / "a" / "board.py").write_text("import nowhere\n")
    assert asyncio.run(board.start()) == 1
    assert board.lines[-1] == "ImportError: no module named 'nowhere'"


def test_a_soft_reset_finds_relays_on_and_a_watchdog_armed(tmp_path: Path) -> None:
    """Pins stay as they were; nothing feeds the watchdog until boot.py does."""
    board = Slots(tmp_path / "board", {"a": GOOD})
    (board.folder / "pins").write_text("11")
    # As after Ctrl-D in the raw REPL: boot.py runs and main.py does not
    (board.folder / "main.py").write_text("import time\nprint('raw')\ntime.sleep(1.5)\n")
    assert asyncio.run(board.start(THERMO_WATCHDOG_ARMED="300")) == 0
    assert board.lines == ["raw"]
    assert board.pins == "00"
    assert not (board.folder / "boots").exists()  # nor was it a start
    text = board.text("boot.py")
    assert text.count("board.hold_watchdog(600000)") == 1
    (board.folder / "boot.py").write_text(text.replace("board.hold_watchdog(600000)", "pass"))
    assert asyncio.run(board.start(THERMO_WATCHDOG_ARMED="300")) in WATCHDOG_EXIT_CODES


def test_what_a_person_interrupts_is_no_bad_start(tmp_path: Path) -> None:
    waits = HEAD % (100, "print('waits')\n        while True: await asyncio.sleep(0.05)")
    board = Slots(
        tmp_path / "board", {"a": waits.replace("await asyncio.sleep_ms", "time.sleep_ms")}
    )

    async def live() -> None:
        for _ in range(7):
            assert await board.start(until="waits") is None
            assert board.pins == "00"
            assert board.text("boots") == "0"

    asyncio.run(live())


def test_the_crash_file_names_the_places(tmp_path: Path) -> None:
    secret = "SharedAccessKey" + "=" + "k" * 44
    board = Slots(tmp_path / "board", {"a": HEAD % (0, f"raise ValueError('{secret}')")})
    for _ in range(3):
        assert asyncio.run(board.start()) == RESET_EXIT_CODE
    text = board.text("crash.txt")
    assert re.findall(r"crash, slot a, start (\d): ValueError\n  File ", text) == ["1", "2", "3"]
    assert "assembly.py" in text
    assert secret not in text
    assert secret not in "\n".join(board.lines)
