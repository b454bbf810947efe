"""`thermo provision`, `thermo backup` and `thermo restore`: what a board knows of itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host_tools import backup as backups
from host_tools import changes, credentials, provision, service
from host_tools.board_session import BoardFlash, stopped_board
from host_tools.changes import Change, ProvisionError
from host_tools.configuration import ConfigurationProblem, Content
from host_tools.credentials import Secret
from host_tools.hub import running
from host_tools.hub.certificates import DEFAULT_WORKSPACE

SERVICE_VARIABLE = "IOTHUB_CONNECTION_STRING"
_SIMULATED = "linux"  # MicroPython's sys.platform on a PC, which is where loopback leads

PortOption = Annotated[
    str | None,
    typer.Option(
        "--port", "-p", metavar="PORT", help="Serial port; else THERMO_PORT, or the only board."
    ),
]


def provision_board(
    port: PortOption = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE|-",
            help="Take it from a file that only you can read, or from standard input.",
        ),
    ] = None,
    hub: Annotated[
        str | None,
        typer.Option(
            metavar="local|env|FILE|-",
            help="Make the device on this hub, and give the board its identity.",
        ),
    ] = None,
    device_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Of the device on the hub.")
    ] = None,
    ssid: Annotated[
        str | None, typer.Option(metavar="NAME", help="Wi-Fi; the password is asked for.")
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="X.509, PEM or DER; add --private-key and --host-name."),
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key; a file that only you can read.")
    ] = None,
    host_name: Annotated[
        str | None, typer.Option(metavar="HOST", help="The hub of a device with a certificate.")
    ] = None,
    id_scope: Annotated[
        str | None,
        typer.Option(metavar="SCOPE", help="Provisioning service (DPS); the key is asked for."),
    ] = None,
    registration_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this board, in the provisioning service.")
    ] = None,
    workspace: Annotated[
        Path, typer.Option(file_okay=False, help="Of the local hub.")
    ] = DEFAULT_WORKSPACE,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Keep nothing of the configuration that it has.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="Start the thermostat at the end.")
    ] = True,
) -> None:
    """Tell a board its Wi-Fi and who it is.

    Without options it asks, and what is secret is not shown. Secrets come from that, from a file
    of mode 0600 or from standard input, never from the command line, where every user of this
    machine would see them; and nothing prints them.

    What is not given stays as it is on the board: zones, limits, set points. All is checked here
    as the board would check it, written beside the old configuration, takes its place in one step,
    is read back and compared. Pull the cable when you like: the old one or the new one holds, and
    running the command again completes it.

    [bold]Examples[/bold]

        thermo provision     (asks)

        thermo provision --hub local --ssid home     (after thermo hub start --expose ADDRESS)

        thermo provision --hub env --device-id bedroom     (Azure, by IOTHUB_CONNECTION_STRING)

        az iot hub device-identity connection-string show … -o tsv | thermo provision --from -

        thermo provision --id-scope 0ne00001234 --registration-id bedroom

        thermo provision --certificate bedroom.pem --private-key bedroom.key --host-name …

    [bold]FILE[/bold] is a device's connection string, or JSON with members of the configuration:

        {"wifi": {"ssid": "…", "password": "…"}, "connection_string": "HostName=…"}

        {"provisioning": {"id_scope": "…", "registration_id": "…", "group_key": "…"}}

        {"certificate": "bedroom.pem", "private_key": "bedroom.key", "connection_string": "…"}

    A group key stays on this machine: the board gets the key derived from it for its
    registration id.
    """
    for value, option in ((hub, "--hub"), (device_id, "--device-id"), (host_name, "--host-name")):
        credentials.refuse_in_arguments(value or "", option)
    if source == hub == "-":
        raise ProvisionError("standard input is read once; use a file for --from or for --hub")
    change = Change()
    if source:
        folder = Path() if source == "-" else Path(source).parent
        change += changes.from_text(credentials.read(source, "--from"), folder)
    if certificate or private_key:
        change += _by_certificate(certificate, private_key, host_name, device_id)
    if id_scope or registration_id:
        change += _by_provisioning(id_scope, registration_id)
    if ssid is not None:
        change += changes.wifi(ssid, credentials.ask(f"Password of {ssid}, empty if it is open"))
    on_hub = None if hub is None else _find_hub(hub, workspace)
    if change == Change() and sys.stdin.isatty():
        change += _asked(with_identity=on_hub is None)
    if on_hub is None and change == Change():
        raise ProvisionError("there is nothing to tell the board; see `thermo provision --help`")
    _bring(port, change, on_hub, device_id, fresh, reset)


def _bring(
    port: str | None,
    change: Change,
    on_hub: _Hub | None,
    device_id: str | None,
    fresh: bool,
    reset: bool,
) -> None:
    console = Console(stderr=True, highlight=False)
    with stopped_board(port, reset) as board:
        existing = None if fresh else _existing(board)
        if on_hub is not None:
            change += _on_hub(on_hub, device_id or _own_id(board, existing), board)
        told = provision.install(board, existing, change)
    console.print("The board has, read back and compared:", markup=False)
    for line in told:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print("The thermostat starts." if reset else "The thermostat is stopped: reset it.")


def _existing(board: BoardFlash) -> Content | None:
    try:
        return provision.read(board)
    except ConfigurationProblem as error:
        what, _, _ = str(error).partition("; ")
        raise ProvisionError(
            f"the board's configuration cannot be kept ({what}); leave it behind with --fresh"
        ) from None


# ---- hubs


class _Hub:
    """A hub that makes devices; of the local one also what a board needs to find it."""

    def __init__(self, text: Secret, local: running.RunningHub | None = None) -> None:
        self.connection = service.parse_connection_string(text)
        self.local = local


def _find_hub(name: str, workspace: Path) -> _Hub:
    """Raises CredentialError, ServerError."""
    if name == "local":
        found = running.find(workspace)
        return _Hub(found.service, found)
    if name != "env":
        return _Hub(Secret(credentials.read(name, "--hub").decode(errors="replace")))
    text = os.environ.get(SERVICE_VARIABLE)
    if not text:
        raise credentials.CredentialError(
            f"{SERVICE_VARIABLE} is not set; set it to the service connection string, or name a "
            "file of mode 0600 with --hub"
        )
    return _Hub(Secret(text))


def _on_hub(hub: _Hub, device_id: str, board: BoardFlash) -> Change:
    """The identity of a device that is there now, if it was not. Raises ServiceError."""
    local = hub.local
    if local is None:
        key = service.ensure_device(hub.connection, device_id)
        return changes.by_connection_string(_string(hub.connection.host, device_id, key))
    if not local.exposed and board.link.evaluate("__import__('sys').platform") != _SIMULATED:
        raise ProvisionError(
            f"the local hub is at {local.host}, which leads a board to itself; start the hub "
            "again with `thermo hub start --expose ADDRESS`"
        )
    key = service.ensure_device(hub.connection, device_id, local.ca_pem)
    text = _string(local.host, device_id, key)
    return changes.by_connection_string(text, local.ca_der, local.mqtt_port)


def _string(host: str, device_id: str, key: Secret) -> Secret:
    return Secret(f"HostName={host};DeviceId={device_id};SharedAccessKey={key.reveal()}")


def _own_id(board: BoardFlash, existing: Content | None) -> str:
    """The id that the board has on its present hub, else one of its own for good."""
    for part in (existing or {}).get("connection_string", "").split(";"):
        if part.startswith("DeviceId="):
            return str(part.removeprefix("DeviceId="))
    unique = board.link.evaluate("__import__('machine').unique_id()")
    return f"thermostat-{bytes(unique).hex()}"


# ---- from options, and by asking


def _by_certificate(
    certificate: Path | None, key: Path | None, host: str | None, device_id: str | None
) -> Change:
    if not (certificate and key and host):
        raise ProvisionError(
            "--certificate, --private-key and --host-name belong together; give all three"
        )
    return changes.by_certificate(changes.read_certificate(certificate, key), host, device_id)


def _by_provisioning(id_scope: str | None, registration_id: str | None) -> Change:
    if not (id_scope and registration_id):
        raise ProvisionError("--id-scope and --registration-id belong together; give both")
    group = credentials.ask("Key of the enrollment group, empty if this board has one of its own")
    if group:
        key = credentials.device_key(group, registration_id)
    else:
        key = credentials.ask("Key of this board's enrollment")
    return changes.by_provisioning(id_scope, registration_id, key)


def _asked(with_identity: bool) -> Change:
    change = Change()
    ssid = typer.prompt("Wi-Fi name, empty to keep what the board has", "", False, err=True)
    if ssid:
        change += changes.wifi(ssid, credentials.ask("Wi-Fi password, empty if it is open"))
    if with_identity:
        text = credentials.ask("Connection string of the device, empty to keep what it has")
        if text:
            change += changes.by_connection_string(text)
    return change


# ---- keeping it


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; mode 0600.")],
    port: PortOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="Start the thermostat at the end.")
    ] = True,
) -> None:
    """Keep a board's configuration, set points and certificates in a file.

    The file holds the board's secrets and so is readable by you alone. It carries a checksum.

    [bold]Example[/bold]: a board is replaced

        thermo backup bedroom.json --port /dev/ttyACM0

        thermo restore bedroom.json --port /dev/ttyACM1
    """
    backups.check_target(file, force)
    with stopped_board(port, reset) as board:
        made = backups.take(board)
    backups.write(file, made, force)
    typer.echo(f"{file} holds {', '.join(made.names())}.", err=True)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by thermo backup.")],
    port: PortOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the configuration that the board has.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="Start the thermostat at the end.")
    ] = True,
) -> None:
    """Give a board the configuration, set points and certificates that a backup holds.

    All of it is checked before anything is written. A board that has a configuration keeps it
    unless --force is given.

    [bold]Example[/bold]

        thermo restore bedroom.json --force
    """
    found = backups.read(file)
    with stopped_board(port, reset) as board:
        backups.put_back(board, found, force)
    typer.echo(f"The board has {', '.join(found.names())}.", err=True)
