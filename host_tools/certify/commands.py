"""`thermo certify`: a device held to its model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from host_tools.certify.checks import BAD, OK, SKIPPED, Certification, Finding, Patience
from host_tools.certify.hub import HubDevice
from host_tools.certify.model import load_models
from host_tools.cloud.connection import HubOption, JsonOption, WorkspaceOption, find, told
from host_tools.cloud.device_commands import DeviceArgument
from host_tools.cloud.output import print_json, remarks, screen
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.printable import printable
from host_tools.tree import source_tree

_LOOKS = {OK: ("ok", "green"), BAD: ("BAD", "bold red"), SKIPPED: ("–", "yellow")}


def certify(
    device_id: DeviceArgument,
    models: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, exists=True, help="DTDL files. Without it those of our firmware."
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(metavar="COMMAND", help="Do not call this one rightly. Repeatable."),
    ] = None,
    no_reconnect: Annotated[
        bool, typer.Option("--no-reconnect", help="Do not throw it out for a moment.")
    ] = False,
    patience: Annotated[
        float, typer.Option(min=1, max=300, help="Seconds to wait for an answer.")
    ] = 15.0,
    telemetry: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds to watch its telemetry, at most.")
    ] = 90.0,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> int:
    """Check a device that is online, ours or anybody's, against the model it announces.

    Every property is read, and if writable set, set wrongly and set to null. Every
    command is called, wrongly and rightly (a reboot, too: see --skip), and one that does
    not exist. Telemetry is watched. At last the device is disabled for a moment, and has
    to acknowledge what was desired while it was away. What was desired before is desired
    again at the end.

    Exit code 0 if nothing is bad, 3 if something is. What was not seen, such as telemetry
    that comes once an hour, is told and is not bad.

    [bold]Examples[/bold]

      thermo certify bedroom
      thermo certify bedroom --skip reboot --no-reconnect
      thermo certify theirs --models their/dtdl --json | jq '.[] | select(.state == "bad")'
    """
    connection = find(hub, workspace)
    known = load_models(models or source_tree() / "firmware" / "models")
    out = screen()

    def tell(finding: Finding) -> None:
        word, style = _LOOKS[finding.state]
        line = Text(f"{word:<4}", style=style)
        detail = f": {finding.detail}" if finding.detail else ""
        # Names that the device has made up are among it
        line.append(printable(f"{finding.check}, {finding.subject}{detail}"), style="default")
        out.print(line)

    with told(connection.host):
        device = HubDevice(connection, device_id)
        device.begin()
        try:
            found = Certification(
                device,
                known,
                Patience(telemetry, patience),
                frozenset(skip or ()),
                not no_reconnect,
                (lambda finding: None) if as_json else tell,
            ).run()
        finally:
            device.end()
    bad = [each for each in found if each.state == BAD]
    if as_json:
        print_json([each.document() for each in found])
    else:
        counts = {state: sum(each.state == state for each in found) for state in _LOOKS}
        remarks().print(
            f"{counts[OK]} ok, {counts[BAD]} bad, {counts[SKIPPED]} not seen or skipped",
            markup=False,
        )
    return 3 if bad else 0
