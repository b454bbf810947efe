"""`thermo repl` and `thermo monitor`, at a board that runs the whole firmware."""

import contextlib
import json
import signal
import subprocess
import time

from board_setup import SOON_UP, installed_board
from pseudo_board import PseudoBoard
from terminal import Terminal, environment, thermo

FILES = {"/config.json": json.dumps({"version": 1, **SOON_UP}).encode()}


@contextlib.contextmanager
def running_board(folder, **settings):
    with installed_board(folder, FILES, **settings) as board:
        board.wait_for("up a")
        yield board


def ask(person, question):
    """What the live console answers."""
    start = len(person.shown)
    person.type(question + "\r")
    begin = person.wait_for(question + "\r\n", start)
    end = person.wait_for("\n", begin)
    return person.shown[begin:end].strip()


def test_the_live_console_answers_while_control_goes_on(tmp_path):
    with running_board(tmp_path / "board") as board:
        with Terminal(thermo("repl", "--port", board.port), tmp_path) as person:
            before = person.attributes()
            person.wait_for("Ctrl-] leaves")
            first = int(ask(person, "app.clock.uptime_s()"))
            centi_c = int(ask(person, "app.rooms[0].temperature_centi_c"))
            start = len(person.shown)
            person.type("\x03")
            person.wait_for("Ctrl-C would stop the thermostat", start)
            time.sleep(1.1)
            assert int(ask(person, "app.clock.uptime_s()")) > first
            person.type("\x1d")
            assert person.end() == 0
            assert person.attributes() == before
        assert -4000 < centi_c < 8000
        # The thermostat has noticed nothing: it runs, and its port was not reset
        assert board.hard_resets == []
        assert board.soft_resets == 0
        with Terminal(thermo("repl", "--port", board.port), tmp_path) as person:
            person.wait_for("Ctrl-] leaves")
            assert int(ask(person, "app.clock.uptime_s()")) > first
            person.type("\x1d")
            assert person.end() == 0


def test_stopped_it_is_micropythons_prompt_and_then_the_thermostat_starts_again(tmp_path):
    with running_board(tmp_path / "board") as board:
        start_of_board = len(board.transcript)
        with Terminal(thermo("repl", "--stop", "--port", board.port), tmp_path) as person:
            person.wait_for("The thermostat is stopped")
            person.wait_for(">>> ")
            start = len(person.shown)
            person.type("print(6 * 7)\r")
            person.wait_for("42", start)
            person.type("\x1d")
            person.wait_for("Start the thermostat again? [Y/n]")
            person.type("\n")
            assert person.end() == 0
        board.wait_for("up a", start=start_of_board)
        assert board.hard_resets == ["software"]
        command = thermo("repl", "--stop", "--no-reset", "--port", board.port)
        with Terminal(command, tmp_path) as person:
            person.wait_for(">>> ", person.wait_for("The thermostat is stopped"))
            person.type("\x1d")
            assert person.end() == 0
        assert board.hard_resets == ["software"]


def test_a_cable_that_is_pulled_ends_the_console_and_leaves_the_terminal_as_it_was(tmp_path):
    with (
        PseudoBoard(tmp_path / "board", has_house=False) as board,
        Terminal(thermo("repl", "--port", board.port), tmp_path) as person,
    ):
        before = person.attributes()
        person.wait_for("Ctrl-] leaves")
        person.type("\r")
        person.wait_for(">>> ")
        board.cut()
        assert person.end() == 1
        assert person.attributes() == before
        assert "is gone; plug it in" in person.shown
        assert "Traceback" not in person.shown


def test_without_a_terminal_there_is_no_console(tmp_path):
    done = subprocess.run(
        thermo("repl", "--port", "none"), env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("thermo: a prompt needs a terminal at both ends; ")


class Watching:
    """`thermo monitor` without a terminal; what it has printed so far."""

    def __init__(self, folder, *arguments):
        self.path = folder / "printed"
        self.errors = folder / "errors"
        with self.path.open("w") as out, self.errors.open("w") as err:
            command = thermo("monitor", *arguments)
            self.process = subprocess.Popen(command, env=environment(), stdout=out, stderr=err)

    def wait_for(self, text, path=None, times=1):
        end = time.monotonic() + 30
        while (path or self.path).read_text().count(text) < times:
            assert time.monotonic() < end, self.path.read_text() + self.errors.read_text()
            time.sleep(0.02)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


def test_the_log_goes_on_over_resets_and_pulled_cables(tmp_path):
    with running_board(tmp_path / "board", native_usb=True) as board:
        watching = Watching(tmp_path, "--port", board.port)
        try:
            watching.wait_for("listening", watching.errors)
            sent = board.host_bytes
            board.reset()
            watching.wait_for("listening", watching.errors, 2)
            watching.wait_for("up a")
            board.cut()
            watching.wait_for("the board is gone", watching.errors, 2)
            board.plug_in()
            watching.wait_for("listening", watching.errors, 3)
            board.reset()
            watching.wait_for("up a", times=2)
            assert board.host_bytes == sent
            assert watching.end() == 0
        finally:
            watching.process.kill()
            watching.process.wait()
        assert "\x1b" not in watching.path.read_text()
        assert "Traceback" not in watching.errors.read_text()


def test_for_programs_each_line_is_an_object(tmp_path):
    with running_board(tmp_path / "board") as board:
        watching = Watching(tmp_path, "--json", "--port", board.port)
        try:
            watching.wait_for("listening", watching.errors)
            board.reset()
            watching.wait_for('"up"')
            assert watching.end() == 0
        finally:
            watching.process.kill()
            watching.process.wait()
    lines = [json.loads(line) for line in watching.path.read_text().splitlines()]
    assert {"kind": "up", "slot": "a"} in lines
    assert next(line["stats"]["uptime_s"] for line in lines if line["kind"] == "stats") == 0
    assert board.hard_resets == ["software"]


def test_at_a_terminal_the_log_is_coloured_and_counters_are_one_line(tmp_path):
    with running_board(tmp_path / "board") as board:
        with Terminal(thermo("monitor", "--port", board.port), tmp_path, COLUMNS="100") as person:
            before = person.attributes()
            person.wait_for("listening")
            board.reset()
            person.wait_for("up a")
            person.wait_for("heap ")
            person.type("\x03")
            assert person.end() == 0
            assert person.attributes() == before
        assert "stats {" not in person.shown
        assert "\x1b[7m" in person.shown
        # The cursor is shown again
        assert person.shown.rfind("\x1b[?25h") > person.shown.rfind("\x1b[?25l")


def test_a_port_that_is_not_there_or_taken(tmp_path):
    done = subprocess.run(
        thermo("monitor", "--port", tmp_path / "none"),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "there is no" in done.stderr
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        watching = Watching(tmp_path, "--port", board.port)
        watching.wait_for("listening", watching.errors)
        second = subprocess.run(
            thermo("monitor", "--port", board.port),
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert watching.end() == 0
    assert second.returncode == 1
    assert "another program may have it" in second.stderr
