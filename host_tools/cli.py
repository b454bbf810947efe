"""The command `thermo`: its verbs, and the one place where an error becomes a line for people.

Each group of verbs is a module of its own. Here is only what they share: the root of the command,
and the translation of what went wrong to `thermo: what happened; what to do` and an exit code.
"""
# ruff: noqa: E402 - the first thing is an ear for Ctrl-C

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

# The rest takes half a second to load. Ctrl-C ends that without a word, not with a traceback.
_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)

import typer

from host_tools.credentials import redacted
from host_tools.manual import flowing, lay_out
from host_tools.printable import printable
from host_tools.problem import Problem

signal.signal(signal.SIGINT, _interrupt)

_MANUAL = """The thermostat's tools: a local Azure IoT Hub, and what belongs to boards.

[bold]A first try, in two terminals[/bold]

  thermo hub start --device dev1     (prints what to set in the other one)
  python your_azure_script.py        (Microsoft's SDK, unmodified)

[bold]Or in one[/bold]

  thermo hub exec --thermostat t1 -- python your_azure_script.py
  thermo demo                        (hub, thermostat and a tour, live)

[bold]A board[/bold]

  thermo image --board RPI_PICO_W --firmware STOCK.uf2 -o all.uf2
  thermo flash all.uf2               (both; or stock MicroPython alone)
  thermo deploy                      (our software, where MicroPython is)
  thermo provision                   (its Wi-Fi, and who it is)
  thermo monitor                     (what it says; repl, doctor)

[bold]Devices, on Azure or at the local hub[/bold]

  thermo device create bedroom       (list, show, delete, rotate)
  thermo twin set bedroom thermostat1.targetTemperature=21.5 --wait 10
  thermo call bedroom "thermostat1*getMaxMinReport" 2026-11-27T00:00:00Z
  thermo send bedroom "good night" --ack full --wait 60
  thermo events                      (what they send)
  thermo query "SELECT * FROM devices"
  thermo jobs, thermo dps            (fleets)
  thermo certify bedroom             (does it do what its model says?)

[bold]The building they are in, in Azure Digital Twins or at the local hub[/bold]

  thermo twins models upload         (the device's models, and a building's)
  thermo twins create floor1 --model "dtmi:com:example:Floor;1" name=First
  thermo twins relate floor1 contains kitchen
  thermo twins bridge --rooms rooms.json
  thermo twins query "SELECT * FROM DIGITALTWINS T WHERE T.temperature > 21"

[bold]Files[/bold]

  .thermo/      certificates and keys of the local hub, readable by you alone
  --state FILE  devices, twins and messages, when they shall outlive the hub

[bold]Exit codes[/bold]

  0 done, 1 it did not work, 2 the command line is wrong, 3 the device said no, or nothing.
  Problems are told on standard error: what happened, and what to do.
"""


def _hub() -> typer.Typer:
    from host_tools import hub_commands, hub_exec

    hub_commands.app.command("exec", context_settings=hub_exec.CONTEXT)(hub_exec.hub_exec)
    return hub_commands.app


def _twins() -> typer.Typer:
    from host_tools.cloud import bridge_command, twins_commands, twins_models

    twins_commands.app.add_typer(twins_models.app, name="models")
    twins_commands.app.command("bridge")(bridge_command.bridge)
    return twins_commands.app


# Where each verb is, in the order of the help page: a function, or a group of verbs. Only what a
# command line asks for is loaded: all of it takes up to three times as long.
VERBS: dict[str, str | Callable[[], typer.Typer]] = {
    "hub": _hub,
    "demo": "demo_commands:demo",
    "flash": "flash_commands:flash",
    "image": "flash_commands:image",
    "deploy": "deploy_commands:deploy_command",
    "dev": "deploy_commands:dev_command",
    "provision": "provision_commands:provision_board",
    "backup": "backup_commands:backup",
    "restore": "backup_commands:restore",
    "repl": "console_commands:repl",
    "monitor": "console_commands:monitor",
    "doctor": "doctor_commands:doctor",
    "device": "cloud.device_commands:app",
    "twin": "cloud.twin_commands:app",
    "query": "cloud.twin_commands:query",
    "call": "cloud.message_commands:call",
    "send": "cloud.message_commands:send",
    "events": "cloud.message_commands:events",
    "twins": _twins,
    "jobs": "cloud.job_commands:app",
    "dps": "cloud.enrollment_commands:app",
    "certify": "certify.commands:certify",
}


@cache
def _load(verb: str) -> Any:
    """The function of a verb, or its group."""
    place = VERBS[verb]
    if callable(place):
        found = place()
    else:
        module, _, name = place.partition(":")
        found = getattr(importlib.import_module(f"host_tools.{module}"), name)
    if isinstance(found, typer.Typer):
        lay_out(found)
    return found


def command_for(words: list[str]) -> typer.Typer:
    """The command with the verb that `words` begin with; with all of them for another begin."""
    app = typer.Typer(
        help=_MANUAL,
        rich_markup_mode="rich",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # With a callback, a command that has one verb is not that verb itself
    app.callback()(lambda: None)
    for verb in [words[0]] if words and words[0] in VERBS else VERBS:
        found = _load(verb)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb)
        else:
            app.command(verb, help=flowing(inspect.getdoc(found) or ""))(found)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run one command line. Returns: the exit code; for a user's mistake without a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        _make_lenient(stream)
    try:
        # Not standalone: the errors come here, in one form, instead of Typer's boxes.
        code = command_for(words)(args=words, prog_name="thermo", standalone_mode=False)
    except typer.TyperException as error:
        # An empty one follows the help page, which was wanted or is the answer to no verb.
        return _fail(_usage(error), error.exit_code) if error.message else error.exit_code
    except Problem as error:
        return _fail(str(error))
    except BrokenPipeError:
        # Whoever read our output has left (`thermo … | head`): no news, and no second try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error}; check the path and its permissions")
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return code if isinstance(code, int) else 0


def _make_lenient(stream: Any) -> None:
    """A character that the encoding of a console or a file has not becomes a question mark, and
    ends no command: our own arrows and dots, what a board says."""
    if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


def _usage(error: typer.TyperException) -> str:
    """Typer's own text, and what to do: the nearest word, or the help page that says more."""
    text = error.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    if ". Did you mean" in text:
        return text.replace(". Did you mean", "; did you mean")
    context = getattr(error, "ctx", None)
    return f"{text}; see {context.command_path if context else 'thermo'} --help"


def _fail(text: str, code: int = 1) -> int:
    # A secret that was put on the command line is in the words that Typer did not understand
    print(f"thermo: {printable(redacted(text))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
