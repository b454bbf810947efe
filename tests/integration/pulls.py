"""Deploys that are cut off after so many bytes, and what the board runs afterwards."""

import contextlib
import os
import re
import time
from types import SimpleNamespace

import mpremote.transport_serial
from pseudo_board import PseudoBoard
from small_tree import make_tree, running

from host_tools import board_link
from host_tools.board_link import BoardError
from host_tools.deploy import Order, deploy

# Every place, and not a fair share of them
IS_WHOLE = bool(os.environ.get("THERMO_ALL_PULLS"))
_RUNNING = re.compile(r"running (\S+) (\S+) (\S+) end\r\n")


# mpremote looks every 10 ms whether the board has answered, which takes most of a small deploy
mpremote.transport_serial.time = SimpleNamespace(
    monotonic=time.monotonic, sleep=lambda seconds: time.sleep(seconds / 20)
)


class Bench:
    """A board on which version 1 runs, or nothing, and version 2 to be deployed."""

    def __init__(self, folder, is_bare=False):
        self._folder = folder
        self._is_bare = is_bare
        self.board = PseudoBoard(folder / "board", has_house=False, flash_kb=256)
        make_tree(folder / "1", 1)
        make_tree(folder / "2", 2)
        self._image = self.board.flash.read_bytes()

    def __enter__(self):
        self.board.__enter__()
        if not self._is_bare:
            self.deploy(1)
            self.board.power_off()
            self._image = self.board.flash.read_bytes()
        self.begin()
        return self

    def __exit__(self, *error):
        self.board.__exit__(*error)

    def order(self, version):
        folder = self._folder / str(version)
        build = self._folder / f"build{version}"
        return Order(self.board.port, up_timeout_s=20, root=folder, build=build)

    def deploy(self, version):
        return deploy(self.order(version))

    def begin(self):
        """Version 1, or nothing, as it was at first."""
        self.board.power_off()
        self.board.flash_image(self._image)
        self._power_on()

    def _power_on(self):
        """Returns the versions that ran, as text."""
        place = len(self.board.transcript)
        self.board.power_on()
        if self._is_bare and b"/main.py" not in b"".join(n.encode() for n in self.board.files()):
            self.board.wait_for(">>> ", start=place)
            return "nothing"
        end = time.monotonic() + 20
        while True:
            said = self.board.transcript[place:].decode()
            if found := _RUNNING.search(said):
                return found[0].strip()
            if self._is_bare and said.endswith(">>> "):
                return "nothing"
            assert time.monotonic() < end, said
            time.sleep(0.005)

    def steps(self):
        """How many bytes the host has written before each of its writes, in one whole deploy."""
        counts, written = [], 0
        true_open = board_link._open

        def counting_open(port):
            transport = true_open(port)
            true_write = transport.serial.write

            def write(data):
                nonlocal written
                counts.append(written)
                written += len(data)
                return true_write(data)

            transport.serial.write = write
            return transport

        board_link._open = counting_open
        try:
            assert self.deploy(2).is_up
        finally:
            board_link._open = true_open
        return counts, written

    def strike(self, at, fault):
        """One deploy with that fault, a power cycle, a second deploy. Returns what ran between."""
        self.begin()
        self.board.after(at, fault)
        with contextlib.suppress(BoardError):
            self.deploy(2)
        assert not self.board.fault_is_due, f"{fault} after {at} bytes did not come"
        self.board.power_off()
        ran = self._power_on()
        assert ran in (("nothing" if self._is_bare else running(1)), running(2)), (at, fault, ran)
        again = self.deploy(2)
        assert again.is_up or again.plan.is_done, (at, fault)
        self.board.power_off()
        assert self._power_on() == running(2), (at, fault)
        return ran


def places(bench):
    """Of one whole deploy, in bytes that the host has written: where each of its writes begins,
    where their middles are, and every 512 bytes."""
    counts, total = bench.steps()
    ends = [*counts[1:], total]
    middles = [(a + b) // 2 for a, b in zip(counts, ends, strict=True)]
    return sorted({*counts} - {0}), sorted({*middles} - {0}), list(range(512, total, 512))
