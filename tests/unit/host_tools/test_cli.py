"""The command line: help that helps, and mistakes told in one line with what to do."""

import os
import subprocess
import sys

import pytest
import typer

from host_tools import cli, hub_commands
from host_tools import demo as demonstration
from host_tools.demo import DemoError

ANY_PORTS = ("--mqtt-port", "0", "--https-port", "0", "--amqp-port", "0")


def run(capsys, *arguments):
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_reads_like_a_manual(capsys, arguments):
    _, out, err = run(capsys, *arguments)
    for words in ("A first try", "Exit codes", "thermo hub start", "Commands"):
        assert words in out
    assert not err


def verbs(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize(
    "verb", [*verbs(typer.main.get_command(cli.command_for([])))], ids=" ".join
)
def test_each_verb_has_an_example_in_its_help(capsys, verb):
    code, out, err = run(capsys, *verb, "--help")
    assert (code, err) == (0, "")
    assert "Example" in out
    # One line at least that begins as what people type
    assert [
        line for line in out.splitlines() if line.strip().startswith(f"thermo {' '.join(verb)}")
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["provide"], 2, "thermo: no such command 'provide'; did you mean 'provision'?"),
        (["repl", "--stp"], 2, "thermo: no such option: --stp"),
        (["hbu"], 2, "thermo: no such command 'hbu'; did you mean 'hub'?"),
        (["hub", "stat"], 2, "thermo: no such command 'stat'; did you mean 'start'?"),
        (["hub", "zzz"], 2, "thermo: no such command 'zzz'; see thermo hub --help"),
        (
            ["hub", "start", "--mqtt-prot", "1"],
            2,
            "thermo: no such option: --mqtt-prot (Possible options: ",
        ),
        (
            ["hub", "start", "HostName=h;SharedAccessKey=abc"],
            2,
            "thermo: got unexpected extra argument(s) (HostName=h;SharedAccessKey=…)",
        ),
        (["hub", "exec"], 2, "thermo: invalid value for CMD: there is nothing to run; write the"),
        (["hub", "start", "--mqtt-port", "65536"], 2, "thermo: invalid value for '--mqtt-port'"),
        (["hub", "start", "--host", "0.0.0.0"], 1, "thermo: 0.0.0.0 is not a loopback address"),
        (["hub", "start", "--host", "::1"], 1, "thermo: ::1 is not a loopback address"),
        (["hub", "start", "--host", "10.0.0.1"], 1, "thermo: 10.0.0.1 is not a loopback"),
        (["hub", "start", "--host", "example.org"], 1, "thermo: example.org is not a loopback"),
        (["hub", "start", "--expose", "0.0.0.0"], 1, "thermo: --expose 0.0.0.0 would open every"),
        (["hub", "start", "--expose", "8.8.8.8"], 1, "thermo: --expose 8.8.8.8 can be reached"),
        (["hub", "start", "--expose", "127.0.0.1"], 1, "thermo: --expose 127.0.0.1 is what"),
        (
            ["hub", "start", *ANY_PORTS, "--expose", "198.51.100.7"],
            1,
            "thermo: 198.51.100.7 is not an address of this machine; ",
        ),
        (["hub", "start", "--host", "a\x1b[31m\n"], 1, "thermo: a\\x1b[31m\\n is not"),
    ],
)
def test_mistakes(capsys, tmp_path, monkeypatch, arguments, code, line):
    monkeypatch.chdir(tmp_path)
    got, out, err = run(capsys, *arguments)
    assert (got, out) == (code, "")
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_workspace_that_cannot_be(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "w")
    code, _, err = run(capsys, "hub", "start", *ANY_PORTS, "--workspace", folder)
    assert code == 1
    assert err.startswith("thermo: ")
    assert "; " in err


@pytest.mark.parametrize(
    ("trouble", "code", "line"),
    [
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
        (
            OSError(13, "Permission denied", "/x\x1b[31m"),
            1,
            "thermo: [Errno 13] Permission denied: '/x\\x1b[31m'; check the path and its"
            " permissions\n",
        ),
        (DemoError("the hub is gone; start it again"), 1, "thermo: the hub is gone; start it"),
    ],
)
def test_what_ends_a_command(capsys, monkeypatch, trouble, code, line):
    def fail(_):
        raise trouble

    monkeypatch.setattr(demonstration, "demo", fail)
    got, out, err = run(capsys, "demo")
    assert (got, out) == (code, "")
    assert err.startswith(line)
    assert err.count("\n") == bool(line)


def test_a_reader_who_has_left_is_no_news(capfd, monkeypatch):
    def fail(_):
        raise BrokenPipeError

    monkeypatch.setattr(demonstration, "demo", fail)
    with open(os.devnull, "w") as nowhere, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", nowhere)
        assert cli.main(["demo"]) == 1
    assert capfd.readouterr() == ("", "")


def test_a_line_for_each_shell():
    assert hub_commands._export("A", "it's") == """export A='it'"'"'s'"""


def test_a_line_for_powershell(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        line = hub_commands._export("A", "b c")
    assert line == "$env:A = 'b c'"


def thermo(code, **environment):
    """What a process of its own makes of `code`."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_help_where_signals_of_unix_are_missing():
    """As on Windows, as far as that can be played here."""
    done = thermo(
        "import signal\n"
        "for name in ('SIGALRM', 'SIGKILL', 'SIGHUP'): delattr(signal, name)\n"
        "from host_tools import cli\n"
        "for words in (['--help'], ['hub', 'start', '--help'], ['hub', 'exec', '--help']):\n"
        "    assert cli.main(words) == 0\n"
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_character_that_an_encoding_has_not_ends_nothing():
    code = (
        "from host_tools import cli, doctor_commands\n"
        "from host_tools.finding import BAD, Finding\n"
        "found = [Finding('port', BAD, 'no board', 'plug one in')]\n"
        "doctor_commands.examine_host = lambda: found\n"
        "sys.exit(cli.main(['doctor', '--port', '/dev/none']))\n"
    )
    done = thermo(code, PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"? plug one in" in done.stdout
    assert "→ plug one in".encode() in thermo(code, PYTHONIOENCODING="utf-8").stdout


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", '"Küche →"'.encode()), ("cp1252", rb'"K\u00fcche \u2192"')]
)
def test_json_loses_nothing_in_an_encoding_that_has_not_all_characters(encoding, shown):
    code = "from host_tools.cloud.output import print_json\nprint_json('Küche →')"
    done = thermo(code, PYTHONIOENCODING=encoding, PYTHONUTF8="1")
    assert (done.stdout.strip(), done.stderr) == (shown, b"")
