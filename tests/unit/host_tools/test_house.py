"""The arrows of the house: which room may use which, read from the sources themselves."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FIRMWARE = ROOT / "firmware"
ROOMS = ("thermostat", "pnp", "iothub", "drivers", "system")
# What a room may import of the others; everything else below it stays out of reach.
ALLOWED = {
    "thermostat": {"pnp", "iothub", "drivers", "system"},
    "pnp": set(),
    "iothub": set(),
    "drivers": set(),
    "system": set(),
}
# Modules that tie code to hardware, to a network or to the running board.
OUTSIDE_WORLD = {"machine", "network", "socket", "usocket", "ssl", "tls", "select", "board", "os"}
MAY_REACH_OUT = {
    "system/description.py",
    "system/dialer.py",
    "system/interpreter.py",
    "system/names.py",
    "system/ntp.py",
    "system/recovery.py",
    "system/spill.py",
    "system/tls.py",
    "system/store.py",
    "thermostat/assembly.py",
}
BUSES = {"machine", "I2C", "SoftI2C", "onewire", "ds18x20"}


def modules(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"{folder} holds no module"
    return found


def imports(path: Path) -> set[str]:
    """The first words of everything a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_only_the_rooms_it_may(room: str) -> None:
    for path in modules(FIRMWARE / room):
        strangers = (imports(path) & set(ROOMS)) - ALLOWED[room] - {room}
        assert not strangers, f"{path} uses {strangers}"


@pytest.mark.parametrize("room", ROOMS)
def test_only_named_modules_reach_the_outside_world(room: str) -> None:
    for path in modules(FIRMWARE / room):
        if str(path.relative_to(FIRMWARE)) in MAY_REACH_OUT:
            continue
        reached = imports(path) & OUTSIDE_WORLD
        assert not reached, f"{path} imports {reached}"


def test_drivers_are_handed_their_bus() -> None:
    for path in modules(FIRMWARE / "drivers"):
        assert not imports(path) & BUSES, path


def test_control_is_pure() -> None:
    assert imports(FIRMWARE / "thermostat" / "control.py") == {"micropython"}


def test_the_hub_and_the_firmware_share_no_code() -> None:
    firmware_words = {*ROOMS, "board", "boot"}
    for path in modules(ROOT / "host_tools" / "hub"):
        assert not imports(path) & firmware_words, path
    for path in modules(FIRMWARE):
        assert "host_tools" not in imports(path), path


def test_the_doors_of_the_hub_do_not_know_each_other() -> None:
    endpoints = ROOT / "host_tools" / "hub" / "endpoints"
    for path in modules(endpoints):
        door = path.stem.split("_")[0]
        for other in re.findall(r"hub\.endpoints\.(\w+)|from \.(\w+) import", path.read_text()):
            name = (other[0] or other[1]).split("_")[0]
            assert name == door, f"{path} uses the door {name}"


def test_the_state_of_the_hub_does_no_input_or_output() -> None:
    for path in modules(ROOT / "host_tools" / "hub" / "state"):
        assert not imports(path) & {"socket", "ssl", "aiohttp", "sqlite3"}, path
        assert "hub.endpoints" not in path.read_text(), path


def test_no_code_comes_from_the_network_or_from_text() -> None:
    for path in modules(FIRMWARE):
        # Whoever sits at a board's own terminal is in charge of it
        may_execute = {"eval", "exec"} if path == FIRMWARE / "system" / "console.py" else set()
        called = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called & {"eval", "exec"} == may_execute, path
        assert not imports(path) & {"mip", "upip", "webrepl"}, path


# The supervisor restarts what falls; two call a handler of the application, or run an operator's
# line, whose failure is answered and ends nothing; boot.py tries the other slot, main.py resets;
# a step of the app that was interrupted half way must not keep it from leaving.
MAY_CATCH_EVERYTHING = {
    "app.py",
    "supervision.py",
    "device.py",
    "desired.py",
    "console.py",
    "boot.py",
    "main.py",
}


def test_only_the_supervisor_and_callers_of_handlers_catch_everything() -> None:
    for path in modules(FIRMWARE):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler):
                continue
            kinds = getattr(node.type, "elts", [node.type])
            names = {getattr(kind, "id", "") for kind in kinds}
            broad = node.type is None or bool(names & {"Exception", "BaseException"})
            assert not broad or path.name in MAY_CATCH_EVERYTHING, f"{path}:{node.lineno}"


def test_the_top_level_holds_what_was_agreed() -> None:
    agreed = {
        "README.md",
        "LICENSE",
        "Makefile",
        "pyproject.toml",
        "firmware",
        "boards",
        "host_tools",
        "tests",
    }
    made = {"build", "dist"}
    for entry in ROOT.iterdir():
        name = entry.name
        fits = (
            name in agreed | made or name[0] == "." or re.fullmatch(r"requirements.*\.txt", name)
        )
        assert fits or name.endswith(".egg-info") or name == "__pycache__", name
