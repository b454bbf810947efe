"""Bring our software onto a board, so that at each moment the old or the new one runs whole.

The order is what makes that true (the layout of the flash is in boards/README.md):

1.  The marker names the good slot. Nothing in that slot is touched from here on.
2.  The other slot loses its list, files.json, and with it stops being a slot.
3.  It loses strangers, gets what is new from here, and what lies in the good slot from there.
4.  Every hash is read back from the flash. Then the list is written, new and renamed.
5.  /boot.py and /main.py, if they changed, each new and renamed.
6.  /boots is set to 0, and the marker to the new slot, on trial: new and renamed.
7.  The board is reset. The app says `up`, and the slot is good; or boot.py goes back to the other.

A cable pulled before 6 leaves the old software, and one pulled after it the new one, which the
board tries by itself. Running the same deploy again finishes what was begun.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.board_files import boards, root_files
from host_tools.board_link import BoardError, BoardLink, BoardLostError
from host_tools.compile import emitted_mpy_version
from host_tools.deploy_plan import Plan, plan_deploy
from host_tools.slot import LIST_NAME, Slot, build_slot, marker
from host_tools.survey import FoundFile, Survey, board_name, survey
from host_tools.tree import cache_folder, source_tree

# Two starts of a new app that hangs until its watchdog bites, then one of the old app, which has
# to live for ten seconds before it says so
UP_TIMEOUT_S = 90.0
# A chip that is its own USB device is away while it resets
_REOPEN_S = 15.0
_UP = re.compile(r"(?:^|[ >])up ([ab-])$")
_SAFE_MODE = "safe mode"
_CRASH_FILE = "/crash.txt"
_CRASH_LINES = 12
# Versions of .mpy, and the MicroPython whose mpy-cross writes them
_MPY_CROSS = {5: "1.12 to 1.18", 6: "1.19 or newer"}
_FOREIGN_SUFFIX = ".before-thermo"
_COPY_TIME_S = 30.0


class DeployError(BoardError):
    """The software is not on the board, or does not come up there; the text says what runs."""


class Watcher:
    """Is told how it goes; this one does not listen."""

    def step(self, text: str) -> None:
        """What begins now."""

    def sending(self, name: str, sent_bytes: int, all_bytes: int) -> None:
        """Progress over all files."""

    def said(self, line: str) -> None:
        """A line of the board's console, after the reset."""


@dataclass(frozen=True)
class Package:
    """What is to lie on the board: the built slot, its files' hashes, the scripts of the root."""

    slot: Slot
    files: dict[str, FoundFile]
    scripts: dict[str, Path]

    def script_files(self) -> dict[str, FoundFile]:
        return {name: _found(path) for name, path in self.scripts.items()}


@dataclass
class Outcome:
    """What a deploy did; `is_up` is None if it was not waited for."""

    board: str
    version: str
    plan: Plan
    is_up: bool | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Order:
    """What is wanted. root: the folder with firmware/ and boards/, None: ours."""

    port: str
    board: str | None = None
    is_dry: bool = False
    up_timeout_s: float = UP_TIMEOUT_S
    root: Path | None = None
    build: Path | None = None


def deploy(order: Order, watcher: Watcher | None = None) -> Outcome:
    """Raises DeployError, other BoardErrors, BoardFilesError, CompileError, UmqttError, OSError.

    However it ends, the board runs again, unless its cable is out.
    """
    watcher = watcher or Watcher()
    began = time.monotonic()
    with BoardLink.open(order.port) as link:
        watcher.step("stopping what runs")
        try:
            link.stop()
            outcome = _work(link, order, watcher)
        except BoardLostError:
            raise
        except BaseException:
            _let_run(link)
            raise
        _reset(link, outcome, order, watcher)
    outcome.seconds = time.monotonic() - began
    return outcome


def package_for(found: Survey, name: str, order: Order, kept: Iterable[str] = ()) -> Package:
    """Built for that board; `kept` may lie in the folder beside it.

    Raises DeployError if the board could not load it, and as building does.
    """
    check_mpy(found)
    root = order.root or source_tree()
    folder = order.build or cache_folder() / "boards" / name
    slot = build_slot(name, folder, with_umqtt=not found.has_umqtt, root=root, kept=kept)
    files = {n: FoundFile((folder / n).stat().st_size, digest) for n, digest in slot.files.items()}
    files[LIST_NAME] = _found(folder / LIST_NAME)
    return Package(slot, files, {file.target: file.source for file in root_files(name, root)})


def check_mpy(found: Survey) -> None:
    """Whether the board loads what mpy-cross here makes. Raises DeployError.

    Source: MicroPython documentation, "MicroPython .mpy files": the sub-version concerns native
    code only, of which there is none.
    """
    wanted, _ = found.mpy_version
    made, _ = emitted_mpy_version()
    if wanted == made:
        return
    if not wanted:
        raise DeployError(
            f"MicroPython {found.version} on the board loads no .mpy files; put a newer "
            f"MicroPython on it with thermo flash"
        )
    raise DeployError(
        f"MicroPython {found.version} on the board loads .mpy version {wanted}, and mpy-cross "
        f"here makes version {made}; put a MicroPython {_MPY_CROSS.get(made, 'that fits')} on it "
        f"with thermo flash, or install the mpy-cross of MicroPython "
        f"{_MPY_CROSS.get(wanted, found.version)}"
    )


def _work(link: BoardLink, order: Order, watcher: Watcher) -> Outcome:
    link.run(_FREE_MEMORY)
    watcher.step("comparing what lies on the board")
    found = survey(link)
    root = order.root or source_tree()
    name = board_name(found, boards(root), order.board)
    watcher.step(f"compiling for {name}")
    package = package_for(found, name, order)
    plan = plan_deploy(package.files, package.script_files(), found)
    outcome = Outcome(name, package.slot.version, plan)
    if plan.needed_bytes > found.free_bytes:
        raise DeployError(
            f"the board's flash has {found.free_bytes // 1024} KB left, and "
            f"{plan.needed_bytes // 1024} KB are needed for a second copy of the software; "
            f"remove files from it, or take a board with more flash"
        )
    if not plan.is_done and not order.is_dry:
        _Filling(link, found, package, plan, watcher).run()
        outcome.notes += [f"/{n} was not ours: kept as /{_kept(n)}" for n in plan.foreign]
    if "/config.json" not in found.files:
        outcome.notes.append("the board has no configuration yet; thermo provision gives it one")
    return outcome


class _Filling:
    """The steps 1 to 6."""

    def __init__(
        self, link: BoardLink, found: Survey, package: Package, plan: Plan, watcher: Watcher
    ) -> None:
        self._link = link
        self._found = found
        self._package = package
        self._plan = plan
        self._watcher = watcher
        self._sent_bytes = 0
        self._target = f"/{plan.target}"

    def run(self) -> None:
        self._settle()
        self._clear()
        self._fill()
        self._complete()
        self._put_scripts()
        self._switch()

    def _settle(self) -> None:
        good = self._plan.good
        # A marker that is the good slot's own says enough, be it on trial: there is no other slot
        if good and self._found.marker not in (marker(good, "good"), marker(good, "trial")):
            self._link.replace("/slot", marker(good, "good"))

    def _clear(self) -> None:
        """The list first."""
        names = sorted(self._plan.strangers, key=lambda name: name != LIST_NAME)
        for name in names:
            self._link.remove(f"{self._target}/{name}")
        wanted = {f"{self._target}/{folder}" for folder in self._folders()} | {self._target}
        for folder in self._found.folders:
            if folder.startswith(f"{self._target}/") and folder not in wanted:
                self._link.run(f"import os\nos.rmdir({folder!r})")

    def _folders(self) -> list[str]:
        """Of the new slot, the upper ones first."""
        found = set()
        for name in self._package.files:
            parts = name.split("/")[:-1]
            found |= {"/".join(parts[: n + 1]) for n in range(len(parts))}
        return sorted(found)

    def _fill(self) -> None:
        plan = self._plan
        missing = [self._target, *(f"{self._target}/{folder}" for folder in self._folders())]
        missing = [folder for folder in missing if folder not in self._found.folders]
        if missing:
            self._link.run(f"import os\nfor _thermo_name in {missing!r}: os.mkdir(_thermo_name)")
        if plan.copy:
            self._watcher.step(f"copying {len(plan.copy)} files on the board")
            self._link.run(_COPYING)
        for name in plan.copy:
            old, new = f"/{plan.good}/{name}", f"{self._target}/{name}"
            self._link.run(f"_thermo_copy({old!r},{new!r})", _COPY_TIME_S)
        if plan.send:
            self._watcher.step(f"sending {len(plan.send)} files")
        for name in plan.send:
            self._send(f"{self._target}/{name}", self._package.slot.folder / name)

    def _send(self, path: str, source: Path) -> None:
        def progress(sent: int, _: int) -> None:
            self._watcher.sending(path, self._sent_bytes + sent, self._plan.sent_bytes)

        content = source.read_bytes()
        self._link.write(path, content, progress)
        self._sent_bytes += len(content)

    def _complete(self) -> None:
        """What the flash gives back is what was meant; only then is it a slot."""
        self._watcher.step("verifying")
        names = [name for name in self._package.files if name != LIST_NAME]
        self._expect({f"{self._target}/{n}": self._package.files[n].sha256 for n in names})
        path = f"{self._target}/{LIST_NAME}"
        self._link.write(path + ".new", (self._package.slot.folder / LIST_NAME).read_bytes())
        self._expect({path + ".new": self._package.files[LIST_NAME].sha256})
        self._link.rename(path + ".new", path)

    def _expect(self, wanted: dict[str, str]) -> None:
        for path, digest in self._link.hashes(list(wanted)).items():
            if digest != wanted[path]:
                raise DeployError(
                    f"{path} on the board is not what was sent, so nothing was switched; try "
                    f"again, and if it stays so, its flash may be worn out"
                )

    def _put_scripts(self) -> None:
        for name in self._plan.scripts:
            if name in self._plan.foreign:
                self._link.rename(f"/{name}", f"/{_kept(name)}")
            source = self._package.scripts[name]
            self._send(f"/{name}.new", source)
            self._expect({f"/{name}.new": _found(source).sha256})
            self._link.rename(f"/{name}.new", f"/{name}")

    def _switch(self) -> None:
        if self._found.boots not in (b"", b"0"):
            self._link.replace("/boots", b"0")
        self._link.replace("/slot", marker(self._plan.target, "trial"))


def _reset(link: BoardLink, outcome: Outcome, order: Order, watcher: Watcher) -> None:
    """And see the software come up, if there is anything new. Raises DeployError."""
    plan = outcome.plan
    if plan.is_done or order.is_dry or order.up_timeout_s <= 0:
        link.reset()
        return
    watcher.step("starting it")
    crashes = _crash_text(link)
    link.reset()
    came_up = _wait_for_up(link, order.up_timeout_s, watcher)
    outcome.is_up = came_up == plan.target
    if not outcome.is_up:
        reason = _why(link, crashes)
        raise DeployError(_failure(came_up, plan, order.up_timeout_s) + reason)


def _wait_for_up(link: BoardLink, timeout_s: float, watcher: Watcher) -> str:
    """The slot that came up, "safe mode", or "" after the time-out."""
    end = time.monotonic() + timeout_s
    while (left := end - time.monotonic()) > 0:
        try:
            for line in link.lines(left):
                watcher.said(line)
                if up := _UP.search(line):
                    return up[1]
                if line.endswith(_SAFE_MODE):
                    return _SAFE_MODE
        except BoardLostError:
            link.reopen(min(_REOPEN_S, max(left, 1.0)))
    return ""


def _failure(came_up: str, plan: Plan, timeout_s: float) -> str:
    if came_up and came_up == plan.good:
        return "the new software did not come up, and the old one runs again"
    if came_up == _SAFE_MODE:
        return "the new software does not come up; the board is in safe mode, relays off"
    return (
        f"the new software did not say within {timeout_s:.0f} s that it is up; see thermo "
        f"monitor. The board goes back to the old one by itself, if it has one"
    )


def _why(link: BoardLink, crashes_before: str) -> str:
    """The newest entry of the crash file, if there is a new one; then the board runs on."""
    try:
        link.stop()
        crashes = _crash_text(link)
        link.reset()
    except BoardError:
        return ""
    if crashes == crashes_before:
        return ""
    newest = crashes.rstrip().splitlines()[-_CRASH_LINES:]
    return ". From its crash file: " + " | ".join(line.strip() for line in newest)


def _crash_text(link: BoardLink) -> str:
    if not link.exists(_CRASH_FILE):
        return ""
    return link.read(_CRASH_FILE).decode(errors="replace")


def _let_run(link: BoardLink) -> None:
    """After a failure or Ctrl-C: what the marker names runs again."""
    try:
        link.restart()
    except BoardError:
        pass  # the first error says more


def _found(path: Path) -> FoundFile:
    content = path.read_bytes()
    return FoundFile(len(content), hashlib.sha256(content).hexdigest())


def _kept(name: str) -> str:
    return name + _FOREIGN_SUFFIX


# The stopped app's objects; its modules stay, for nobody can tell who else has them
_FREE_MEMORY = """
import gc
globals().pop('app', None)
gc.collect()
"""

_COPYING = """
def _thermo_copy(old, new):
    buffer = bytearray(512)
    with open(old, 'rb') as source, open(new, 'wb') as target:
        while True:
            size = source.readinto(buffer)
            if not size:
                return
            target.write(memoryview(buffer)[:size])
"""
