"""`thermo provision`: what a board is told of itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host_tools import changes, credentials, provision
from host_tools.board_link import find_port
from host_tools.board_session import BoardFlash, stopped_board
from host_tools.changes import Change, ProvisionError
from host_tools.configuration import ConfigurationProblem, Content
from host_tools.device_hub import DeviceHub, find_hub, identity_on_hub, own_id
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.port_option import PortOption


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
        typer.Option(
            metavar="FILE",
            help="X.509, PEM or DER; add --private-key, and --host-name or --id-scope.",
        ),
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key; a file that only you can read.")
    ] = None,
    host_name: Annotated[
        str | None, typer.Option(metavar="HOST", help="The hub of a device with a certificate.")
    ] = None,
    id_scope: Annotated[
        str | None,
        typer.Option(
            metavar="SCOPE",
            help="Provisioning service (DPS); the key is asked for, or --certificate.",
        ),
    ] = None,
    registration_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this board, in the provisioning service.")
    ] = None,
    workspace: Annotated[
        Path, typer.Option(file_okay=False, help="Of the local hub.")
    ] = DEFAULT_WORKSPACE,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Keep nothing of the configuration and set points that it has."
        ),
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

      thermo provision                     (asks)
      thermo provision --hub local         (after thermo hub start --expose …)
      thermo provision --hub env --device-id bedroom      (Azure)
      thermo provision --id-scope 0ne00001234 --registration-id bedroom
      thermo provision --id-scope 0ne00001234 --registration-id bedroom \\
          --certificate bedroom.pem --private-key bedroom.key
      thermo provision --certificate bedroom.pem --private-key bedroom.key \\
          --host-name HUB.azure-devices.net
      az iot hub device-identity connection-string show … -o tsv \\
          | thermo provision --from -

    With --hub env the hub is that of IOTHUB_CONNECTION_STRING.

    [bold]FILE[/bold] is a device's connection string, or JSON with members of the configuration:

      {"wifi": {"ssid": "…", "password": "…"},
       "connection_string": "HostName=…"}
      {"provisioning": {"id_scope": "…", "registration_id": "…",
                        "group_key": "…"}}
      {"certificate": "bedroom.pem", "private_key": "bedroom.key",
       "connection_string": "…"}

    A group key stays on this machine: the board gets the key derived from it for its
    registration id.
    """
    for value, option in ((hub, "--hub"), (device_id, "--device-id"), (host_name, "--host-name")):
        credentials.refuse_in_arguments(value or "", option)
    find_port(port)  # before anybody types for a board that is not there
    if source == hub == "-":
        raise ProvisionError("standard input is read once; use a file for --from or for --hub")
    change = Change()
    if source:
        folder = Path() if source == "-" else Path(source).parent
        change += changes.from_text(credentials.read(source, "--from"), folder)
    if id_scope or registration_id:
        if host_name:
            raise ProvisionError("the provisioning service names the hub; leave --host-name away")
        change += _by_provisioning(id_scope, registration_id, certificate, private_key)
    elif certificate or private_key:
        change += _by_certificate(certificate, private_key, host_name, device_id)
    if ssid is not None:
        change += changes.wifi(ssid, credentials.ask(f"Password of {ssid}, empty if it is open"))
    on_hub = None if hub is None else find_hub(hub, workspace)
    if change == Change() and sys.stdin.isatty():
        change += _asked(with_identity=on_hub is None)
    if on_hub is None and change == Change():
        raise ProvisionError("there is nothing to tell the board; see `thermo provision --help`")
    _bring(port, change, on_hub, device_id, fresh, reset)


def _bring(
    port: str | None,
    change: Change,
    on_hub: DeviceHub | None,
    device_id: str | None,
    fresh: bool,
    reset: bool,
) -> None:
    console = Console(stderr=True, highlight=False)
    with stopped_board(port, reset) as board:
        existing = None if fresh else _existing(board)
        if on_hub is not None:
            change += identity_on_hub(on_hub, device_id or own_id(board, existing), board)
        told = provision.install(board, existing, change)
        if fresh and provision.forget_set_points(board):
            told.append("no set points but those of the configuration")
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


# ---- from options, and by asking


def _by_certificate(
    certificate: Path | None, key: Path | None, host: str | None, device_id: str | None
) -> Change:
    if not (certificate and key and host):
        raise ProvisionError(
            "--certificate, --private-key and --host-name belong together; give all three"
        )
    return changes.by_certificate(changes.read_certificate(certificate, key), host, device_id)


def _by_provisioning(
    id_scope: str | None,
    registration_id: str | None,
    certificate: Path | None,
    private_key: Path | None,
) -> Change:
    if not (id_scope and registration_id):
        raise ProvisionError("--id-scope and --registration-id belong together; give both")
    if certificate or private_key:
        if not (certificate and private_key):
            raise ProvisionError("--certificate and --private-key belong together; give both")
        found = changes.read_certificate(certificate, private_key)
        return changes.by_provisioning(id_scope, registration_id, found)
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
