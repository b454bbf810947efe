"""The command `thermo`: its verbs, and the one place where an error becomes a line for people.

Each group of verbs is a module of its own. Here is only what they share: the root of the command,
and the translation of what went wrong to `thermo: what happened; what to do` and an exit code.
"""
# ruff: noqa: E402 - the first thing is an ear for Ctrl-C

from __future__ import annotations

import os
import signal
import sys

# The rest takes half a second to load. Ctrl-C ends that without a word, not with a traceback.
_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)

import typer

from host_tools import (
    backup_commands,
    console_commands,
    demo_commands,
    deploy_commands,
    doctor_commands,
    flash_commands,
    hub_commands,
    hub_exec,
    provision_commands,
)
from host_tools.backup import BackupError
from host_tools.board_files import BoardFilesError
from host_tools.board_link import BoardError
from host_tools.certify import commands as certify_commands
from host_tools.changes import ProvisionError
from host_tools.cloud import (
    bridge_command,
    device_commands,
    enrollment_commands,
    job_commands,
    message_commands,
    twin_commands,
    twins_commands,
    twins_models,
)
from host_tools.compile import CompileError
from host_tools.configuration import ConfigurationProblem
from host_tools.credentials import CredentialError, redacted
from host_tools.demo import DemoError
from host_tools.flash import FlashError
from host_tools.hub.certificates import WorkspaceError
from host_tools.hub.listeners import ServerError
from host_tools.hub.state.errors import HubError
from host_tools.hub.storage import StorageError
from host_tools.image import ImageError
from host_tools.manual import lay_out
from host_tools.ports import PortError
from host_tools.repl import ReplError
from host_tools.service import ServiceError
from host_tools.simulation import SimulationError
from host_tools.umqtt import UmqttError

signal.signal(signal.SIGINT, _interrupt)

# What is told in one line: each of them says what happened and what to do
PROBLEMS = (
    BackupError,
    BoardError,
    BoardFilesError,
    CompileError,
    ConfigurationProblem,
    CredentialError,
    DemoError,
    FlashError,
    HubError,
    ImageError,
    PortError,
    ProvisionError,
    ReplError,
    ServerError,
    ServiceError,
    SimulationError,
    StorageError,
    UmqttError,
    WorkspaceError,
)

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

app = typer.Typer(
    help=_MANUAL,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
hub_commands.app.command("exec", context_settings=hub_exec.CONTEXT)(hub_exec.hub_exec)
app.add_typer(hub_commands.app, name="hub")
app.command("demo")(demo_commands.demo)
app.command("flash")(flash_commands.flash)
app.command("image")(flash_commands.image)
app.command("deploy")(deploy_commands.deploy_command)
app.command("dev")(deploy_commands.dev_command)
app.command("provision")(provision_commands.provision_board)
app.command("backup")(backup_commands.backup)
app.command("restore")(backup_commands.restore)
app.command("repl")(console_commands.repl)
app.command("monitor")(console_commands.monitor)
app.command("doctor")(doctor_commands.doctor)
app.add_typer(device_commands.app, name="device")
app.add_typer(twin_commands.app, name="twin")
app.command("query")(twin_commands.query)
app.command("call")(message_commands.call)
app.command("send")(message_commands.send)
app.command("events")(message_commands.events)
twins_commands.app.add_typer(twins_models.app, name="models")
twins_commands.app.command("bridge")(bridge_command.bridge)
app.add_typer(twins_commands.app, name="twins")
app.add_typer(job_commands.app, name="jobs")
app.add_typer(enrollment_commands.app, name="dps")
app.command("certify")(certify_commands.certify)
lay_out(app)


def main(arguments: list[str] | None = None) -> int:
    """Run one command line. Returns: the exit code; for a user's mistake without a traceback."""
    try:
        # Not standalone: the errors come here, in one form, instead of Typer's boxes.
        code = app(args=arguments, prog_name="thermo", standalone_mode=False)
    except typer.TyperException as error:
        # An empty one follows the help page, which was wanted or is the answer to no verb.
        return _fail(_usage(error), error.exit_code) if error.message else error.exit_code
    except PROBLEMS as error:
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


def _usage(error: typer.TyperException) -> str:
    """Typer's own text, and what to do: the nearest word, or the help page that says more."""
    text = error.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    if ". Did you mean" in text:
        return text.replace(". Did you mean", "; did you mean")
    context = getattr(error, "ctx", None)
    return f"{text}; see {context.command_path if context else 'thermo'} --help"


def _fail(text: str, code: int = 1) -> int:
    # What comes from others (a path, a device id) must not paint the terminal. A secret that was
    # put on the command line is in the words that Typer did not understand.
    text = redacted(text)
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    print(f"thermo: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
