"""`thermo hub exec`: one command beside a hub of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from host_tools.hub.isolation import isolate
from host_tools.hub.launcher import exec_command
from host_tools.hub.options import parse_options
from host_tools.hub_commands import FaultOption, PolicyOption, RouteOption, TierOption
from host_tools.simulated_device import ordered_device

# What follows the command's name is the command's, dashes or not.
CONTEXT = {"allow_interspersed_args": False}


def hub_exec(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD…", help="The command and its arguments.")
    ] = None,
    thermostat: Annotated[
        str | None,
        typer.Option(
            metavar="ID[:MODEL]",
            help="Run a simulated thermostat too; :Thermostat is the model without components, "
            ":HeatingController our own, which tells more.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Keep devices, twins and messages in this file, not in memory."
        ),
    ] = None,
    route: RouteOption = None,
    policy: PolicyOption = None,
    tier: TierOption = None,
    fault: FaultOption = None,
    isolated: Annotated[
        bool,
        typer.Option(
            "--isolated",
            help="Linux: in a network of its own, where port 443 is to be had by anybody.",
        ),
    ] = False,
) -> int:
    """Run a command whose unmodified Azure code finds a local hub.

    The hub lives as long as the command, on a loopback address of its own. The
    command's environment gets, under the names of Microsoft's samples:

      IOTHUB_CONNECTION_STRING         for services; that of --policy, if given
      IOTHUB_HOSTNAME                  for services that sign in with Entra, by
                                         DefaultAzureCredential
      IOTHUB_DEVICE_DPS_ENDPOINT       the provisioning service, for devices,
      IOTHUB_DEVICE_DPS_ID_SCOPE         with its id scope
      DPS_CONNECTION_STRING            and for services, that make enrolments
      EVENT_HUB_CONN_STR               to read what devices send,
      EVENT_HUB_NAME                     with its name
      IOTHUB_DEVICE_ID                 the thermostat, online before CMD starts
      IOTHUB_DEVICE_CONNECTION_STRING  a further, fresh device for CMD's own use

    and what makes TLS clients trust the hub. The exit code is the command's.

    Some clients know no port but 443, for example devices with websockets=True.
    Where an ordinary user may not have it, --isolated gives it to hub and
    command, which then reach each other and nothing else.

    [bold]Example[/bold]

      thermo hub exec --thermostat t1 -- python your_azure_script.py
    """
    if not command:
        text = "there is nothing to run; write the command after --"
        raise typer.BadParameter(text, param_hint="CMD")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    if isolated:
        isolate()
    options = parse_options(route or (), policy or (), tier, fault or ())
    return exec_command(command, thermostat, state, ordered_device, options)
