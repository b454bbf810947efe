"""The launcher, without an interpreter: small scripts stand in for it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from host_tools import simulation
from host_tools.simulation import MAX_LINE_BYTES, Parts, SimulationError, Thermostat


def thermostat(
    folder: Path, script: str, lines: list[str] | None = None, limit: int = 20
) -> Thermostat:
    """A thermostat whose interpreter is a shell script with `script` in it."""
    interpreter = folder / "interpreter"
    # The same interpreter runs the house, which only has to be there
    house = 'case "$*" in *house_process*) exec sleep 60;; esac'
    interpreter.write_text(f"#!/bin/sh\n{house}\n{script}\n")
    interpreter.chmod(0o755)
    parts = Parts(interpreter, folder / "firmware", folder / "board", folder / "lib")
    seen = lines if lines is not None else []
    return Thermostat(parts, folder / "data", {"EXTRA": "one"}, seen.append, limit)


def run(thermostat: Thermostat) -> int:
    async def live() -> int:
        await thermostat.start()
        return await thermostat.wait()

    return asyncio.run(live())


def test_what_the_firmware_is_given(tmp_path: Path) -> None:
    lines: list[str] = []
    script = 'echo "$@"; echo $MICROPYPATH; echo $THERMO_DATA $THERMO_RESET_CAUSE $EXTRA'
    assert run(thermostat(tmp_path, script + "; echo [$PYTHONPATH]", lines)) == 0
    assert lines[0] == "-X heapsize=256k board/start.py"
    assert lines[1] == "firmware:board:lib:.frozen"
    assert lines[2] == f"{tmp_path}/data power_on one"
    assert lines[3] == "[]"
    assert (tmp_path / "data").is_dir()


@pytest.mark.parametrize("code", [0, 1, 3])
def test_an_ordinary_end_is_the_end(tmp_path: Path, code: int) -> None:
    assert run(thermostat(tmp_path, f"exit {code}")) == code


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("exit 75", "software"),
        ("kill -ALRM $$; sleep 5", "watchdog"),
        ("exit 142", "watchdog"),
    ],
)
def test_a_reset_is_followed_and_its_cause_told(tmp_path: Path, end: str, cause: str) -> None:
    lines: list[str] = []
    script = f'echo $THERMO_RESET_CAUSE; [ "$THERMO_RESET_CAUSE" = power_on ] || exit 4; {end}'
    one = thermostat(tmp_path, script, lines)
    assert run(one) == 4
    assert one.resets == 1
    assert lines == ["power_on", f"simulation: reset ({cause})", cause]


def test_resets_without_end_are_bounded(tmp_path: Path) -> None:
    one = thermostat(tmp_path, "exit 75", limit=5)
    with pytest.raises(SimulationError, match="more than 5 times in a minute"):
        run(one)
    assert one.resets == 5


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "nothing", tmp_path, tmp_path, tmp_path)
    with pytest.raises(SimulationError, match="MICROPYTHON"):
        asyncio.run(Thermostat(parts, tmp_path / "data").start())


def test_lines_of_any_length_and_any_bytes(tmp_path: Path) -> None:
    lines: list[str] = []
    script = (
        f"head -c {5 * MAX_LINE_BYTES} /dev/zero | tr '\\0' x; echo; printf 'a\\377b\\r\\nlast'"
    )
    assert run(thermostat(tmp_path, script, lines)) == 0
    assert max(len(line) for line in lines) <= MAX_LINE_BYTES
    assert lines[-2:] == ["a�b", "last"]


def test_stop_lets_the_firmware_end_by_itself(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "trap 'echo off; exit 0' INT; echo up; while :; do sleep 0.05; done"

    async def live() -> int | None:
        one = thermostat(tmp_path, script, lines)
        await one.start()
        while not lines:
            await asyncio.sleep(0.01)
        return await one.stop()

    assert asyncio.run(live()) == 0
    assert lines == ["up", "off"]


def test_stop_kills_what_does_not_end(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "trap '' INT; echo up; while :; do sleep 0.05; done"

    async def live() -> int | None:
        one = thermostat(tmp_path, script, lines)
        await one.start()
        while not lines:
            await asyncio.sleep(0.01)
        return await one.stop(grace_s=0.2)

    assert asyncio.run(live()) == -signal.SIGKILL
    assert lines[-1] == "simulation: no end after 0.2 s, killed"


def test_stop_before_start_and_twice(tmp_path: Path) -> None:
    async def live() -> None:
        one = thermostat(tmp_path, "exec sleep 20")
        assert await one.stop() is None
        two = thermostat(tmp_path, "exec sleep 20")
        await two.start()
        assert two.pid is not None
        assert await two.stop() == -signal.SIGINT
        assert await two.stop() == -signal.SIGINT
        assert two.pid is None

    asyncio.run(live())


def test_a_cancelled_caller_leaves_no_process(tmp_path: Path) -> None:
    async def live() -> int:
        one = thermostat(tmp_path, "trap '' INT; while :; do sleep 0.05; done")
        await one.start()
        pid = one.pid
        assert pid is not None
        return pid  # and asyncio.run cancels what is left

    assert not is_alive(asyncio.run(live()))


def test_a_callback_that_raises_leaves_no_process(tmp_path: Path) -> None:
    one = thermostat(tmp_path, "trap '' INT; echo up; while :; do sleep 0.05; done")

    def refuse(line: str) -> None:
        raise RuntimeError(line)

    one._on_line = refuse
    with pytest.raises(RuntimeError, match="up"):
        run(one)
    assert one.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part of it is Linux's")
def test_a_killed_parent_leaves_no_process(tmp_path: Path) -> None:
    thermostat(tmp_path, "trap '' INT; echo up; while :; do sleep 0.05; done")
    parent = f"""
import asyncio
from pathlib import Path
from host_tools.simulation import Parts, Thermostat

async def live():
    here = Path({str(tmp_path)!r})
    one = Thermostat(Parts(here / "interpreter", here, here, here), here / "data")
    await one.start()
    print(one.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(live())
"""

    async def live() -> bool:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        pid = int(await process.stdout.readline())
        assert is_alive(pid)
        process.kill()
        await process.wait()
        for _ in range(100):
            if not is_alive(pid):
                return True
            await asyncio.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        return False

    assert asyncio.run(live())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_is_started_once_and_waited_for_only_then(tmp_path: Path) -> None:
    async def live() -> None:
        one = thermostat(tmp_path, "exec sleep 20")
        assert one.data == tmp_path / "data"
        with pytest.raises(SimulationError, match="was not started"):
            await one.wait()
        await one.start()
        with pytest.raises(SimulationError, match="was started already"):
            await one.start()
        await one.stop()

    asyncio.run(live())


def test_a_firmware_that_ends_just_as_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise ProcessLookupError

    async def live() -> int | None:
        one = thermostat(tmp_path, "sleep 0.5; exit 3")
        await one.start()
        with monkeypatch.context() as patch:
            patch.setattr(os, "killpg", gone)
            return await one.stop()

    assert asyncio.run(live()) == 3


def test_a_stop_in_the_middle_of_a_reset_ends_what_starts_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = '[ "$THERMO_RESET_CAUSE" = power_on ] && exit 75; exec sleep 20'

    async def live() -> int:
        one = thermostat(tmp_path, script)
        spawn = one._spawn_firmware

        async def stopped_meanwhile(cause: str) -> asyncio.subprocess.Process:
            one._stopping = cause != "power_on"
            return await spawn(cause)

        monkeypatch.setattr(one, "_spawn_firmware", stopped_meanwhile)
        await one.start()
        return await one.wait()

    assert asyncio.run(live()) == -signal.SIGINT


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_child_hears_ctrl_c_and_ends_with_its_parent_where_the_kernel_sees_to_it(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []

    class Library:
        def prctl(self, *arguments: int) -> None:
            done.append(arguments[:2])

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(simulation.ctypes, "CDLL", lambda _: Library())
    monkeypatch.setattr(signal, "signal", lambda *what: done.append(what))
    monkeypatch.setattr(os, "_exit", lambda code: done.append(f"exit {code}"))
    simulation.prepare_child(os.getppid())()
    heard = (signal.SIGINT, signal.SIG_DFL)
    assert done == ([heard, (1, signal.SIGKILL)] if platform == "linux" else [heard])
    done.clear()
    simulation.prepare_child(-1)()
    # The parent ended before the kernel was told
    assert ("exit 1" in done) == (platform == "linux")


def test_there_is_no_simulation_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = thermostat(tmp_path, "exit 0").start()
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        with pytest.raises(SimulationError, match="Windows has not; use Linux, or a real board"):
            start.send(None)
    assert not (tmp_path / "data").exists()
