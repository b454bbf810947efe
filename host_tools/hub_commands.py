"""`thermo hub …`: the local hub from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.hub.client_environment import client_environment
from host_tools.hub.options import parse_options
from host_tools.hub.running import announced
from host_tools.hub.server import AMQP_PORT, HTTPS_PORT, MQTT_PORT, HubServer, Ports
from host_tools.hub.state.limits import TIERS
from host_tools.hub.state.notices import SOURCES
from host_tools.hub.state.policies import PERMISSIONS

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
)

RouteOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SOURCE",
        help="Tell this among the telemetry too: " + ", ".join(SOURCES) + ". Repeatable.",
    ),
]
PolicyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PERMISSION,…",
        help="Have a shared access policy of your own, with any of "
        + ", ".join(PERMISSIONS)
        + ". Repeatable.",
    ),
]

TierOption = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(TIERS),
        help="Have that tier's daily quota and throttles; without it there are none.",
    ),
]


FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND[=VALUE][@COUNT]",
        help="Fail devices on purpose, for the first COUNT connections or for ever: refuse, "
        "drop, kill=BYTES, half-open=BYTES, delay=MS, loris=MS, throttle=BYTES; "
        "certificate=KIND, clock=SECONDS, duplicates. Repeatable.",
    ),
]


@app.callback()
def hub() -> None:
    """A local Azure IoT Hub, for Microsoft's unmodified SDKs and for boards.

    It serves this machine only, unless `start --expose` opens it to boards in
    the same network; always over verified TLS, with keys that are made in the
    workspace.

    [bold]A hub for one command[/bold], which finds it by its environment

      thermo hub exec --thermostat t1 -- python your_azure_script.py
      thermo hub exec -- pytest tests/cloud

    [bold]A hub that stays[/bold], and prints connection strings to paste

      thermo hub start
      thermo hub start --state hub.sqlite3    (keeps its devices)
      thermo hub start --host 127.0.0.2       (a second one)

    [bold]A hub for boards in the house[/bold]

      thermo hub start --expose 192.168.1.20 --state hub.sqlite3
    """


@app.command()
def start(
    device: Annotated[
        str, typer.Option(help="Print this device's connection string; it is made if missing.")
    ] = "thermostat",
    state: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Keep devices, twins and messages in this file, not in memory."
        ),
    ] = None,
    workspace: Annotated[
        Path, typer.Option(file_okay=False, help="Folder of the certificates and keys.")
    ] = DEFAULT_WORKSPACE,
    host: Annotated[
        str, typer.Option(help="Loopback address; several hubs take 127.0.0.2, 127.0.0.3 …")
    ] = "127.0.0.1",
    expose: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Serve boards in your network too, at this address of this machine.",
        ),
    ] = None,
    host_name: Annotated[
        str | None,
        typer.Option(help="Name in connection strings; devices then use GatewayHostName."),
    ] = None,
    mqtt_port: Annotated[
        int, typer.Option(min=0, max=65535, help="0: any. Microsoft's SDKs know only 8883.")
    ] = MQTT_PORT,
    amqp_port: Annotated[
        int, typer.Option(min=0, max=65535, help="0: any. Microsoft's SDKs know only 5671.")
    ] = AMQP_PORT,
    https_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any.")] = HTTPS_PORT,
    emulator_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="AMQP without TLS too, for UseDevelopmentEmulator=true; this machine only. "
            "Usually 5672.",
        ),
    ] = None,
    route: RouteOption = None,
    policy: PolicyOption = None,
    tier: TierOption = None,
    fault: FaultOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No log of connections.")] = False,
) -> None:
    """Start a hub and serve until Ctrl-C.

    Prints its endpoints, and connection strings to paste into Azure code. They
    hold keys of this hub only; nothing else shows them. What devices do is
    logged on standard error.

    While it runs, the workspace tells `thermo provision --hub local` how to
    reach it.

    With --expose a board in the same network can reach it: the address goes
    into the hub's certificate and into connection strings, everything is behind
    verified TLS, and a state with keys that anybody could guess is refused. One
    address, never all of them.

    [bold]Example[/bold]: a hub for boards in the house, that keeps its devices

      thermo hub start --expose 192.168.1.20 --state hub.sqlite3
      thermo provision --hub local --device-id bedroom  (in another terminal)
    """
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    options = parse_options(route or (), policy or (), tier, fault or ())
    ports = Ports(mqtt_port, amqp_port, https_port, emulator_port)
    server = HubServer(workspace, state, host, ports, host_name, expose=expose, options=options)
    asyncio.run(_serve(server, device, [name for name, _ in options.policies]))


async def _serve(server: HubServer, device: str, policies: list[str]) -> None:
    stopped = _stop_signals()
    async with server:
        server.ensure_device(device)
        with announced(server):
            _show(server, device, policies)
            await stopped.wait()
    Console(stderr=True).print("The hub has stopped.")


def _stop_signals() -> asyncio.Event:
    """An event that Ctrl-C and SIGTERM set; where loops take no signals, Ctrl-C ends the loop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    return stopped


def _show(server: HubServer, device: str, policies: list[str]) -> None:
    console = Console(highlight=False)
    table = Table(title=f"Local IoT hub {server.host_name}", title_justify="left")
    for heading in ("endpoint", "address", "for"):
        table.add_column(heading)
    for door in server.doors:
        table.add_row(door.name, f"{door.host}:{door.port}", door.use)
    console.print(table)
    _show_lines(
        console,
        "Service connection string",
        [server.service_connection_string()],
    )
    for name in policies:
        _show_lines(console, f"With policy {name}", [server.service_connection_string(name)])
    events = (server.event_hub_connection_string(), server.emulator_connection_string())
    _show_lines(console, "Event Hubs-compatible", [text for text in events if text])
    _show_lines(
        console,
        f"Connection string of device {device}",
        [server.device_connection_string(device)],
    )
    _show_lines(
        console,
        f"Provisioning service (DPS), id scope {server.hub.provisioning.scope}",
        [server.provisioning_connection_string()],
    )
    _show_lines(console, "The hub's CA, for clients", _ca_files(server))
    _show_lines(
        console,
        "For a terminal that runs Azure code",
        [_export(*pair) for pair in client_environment(server, device).items()],
    )
    if server.exposed is not None:
        hint = f"thermo provision --hub local --device-id {device}"
        _show_lines(console, "For a board in this network, in this folder", [hint])
    console.print("Ready. Ctrl-C stops the hub.")


def _ca_files(server: HubServer) -> list[str]:
    found = server.certificates
    return [
        f"{found.ca_bundle}  PEM, with the public ones",
        f"{found.ca_pem}  PEM",
        f"{found.ca_der}  DER, for boards",
    ]


def _show_lines(console: Console, title: str, lines: list[str]) -> None:
    """Lines stay whole, however narrow the terminal: they are there to be pasted."""
    console.print(f"\n{title}", style="bold", markup=False)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _export(name: str, value: str) -> str:
    if os.name == "nt":
        return f"$env:{name} = '{value}'"
    return f"export {name}={shlex.quote(value)}"
