"""`thermo twins bridge`: keeps the graph current, from where it stopped last."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools.cloud.bridge import Bridge, Rooms
from host_tools.cloud.connection import HubOption, WorkspaceOption, find, told
from host_tools.cloud.event_reader import read_events
from host_tools.cloud.output import remarks
from host_tools.cloud.twins_connection import TwinsOption, find_twins
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.service import ServiceError

_SAVE_S = 0.5
_POSITION = "bridge-position.json"


def bridge(
    rooms: Annotated[
        Path | None,
        typer.Option(
            "--rooms",
            metavar="FILE",
            dir_okay=False,
            help="Devices that may be created, and the room of each component, as JSON: "
            '{"t1": {"thermostat1": "kitchen"}}.',
        ),
    ] = None,
    position: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, help="Where it went on to. Without it: in --workspace."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long; 0: at Ctrl-C.")] = 0,
    group: Annotated[
        str, typer.Option(metavar="NAME", help="Consumer group of the endpoint.")
    ] = "$Default",
    twins: TwinsOption = None,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Keep the graph of Digital Twins as the devices of a hub say.

    Reads telemetry and twin changes (at the local hub: --route twinChangeEvents). Rooms that
    are felt by a device get its temperature, floors and buildings the mean of theirs. After a
    stop it goes on where it was, with the oldest event the first time.

    [bold]Examples[/bold]

      thermo twins bridge
      thermo twins bridge --rooms rooms.json
    """
    connection, graph = find(hub, workspace), find_twins(twins, workspace)
    places = Position(position or workspace / _POSITION)
    end = time.monotonic() + seconds if seconds else None

    def is_over() -> bool:
        places.save_if_due()
        return end is not None and time.monotonic() > end

    with told(graph.url):
        worker = Bridge(graph.client(), connection.registry(), read_rooms(rooms), _say)
        with contextlib.suppress(KeyboardInterrupt):  # it is how this ends
            for event in read_events(connection, group, places.known, is_over):
                worker.take(event)
                places.reached(event)
        places.save()
    done = ", ".join(f"{count} {name}" for name, count in sorted(worker.counts.items()))
    _say(done or "nothing came")


class Position:
    """Where each partition went on to, in a file that is written beside and renamed.
    Raises ServiceError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved_s = time.monotonic()
        self._is_dirty = False
        self.known: dict[str, int] = {}
        if path.exists():
            content = _read_json(path)
            if not all(type(each) is int for each in content.values()):
                raise ServiceError(f"{path} holds no position; delete it to begin with the oldest")
            self.known = content

    def reached(self, event: dict[str, Any]) -> None:
        self.known[event["partition"]] = event["number"]
        self._is_dirty = True
        self.save_if_due()

    def save_if_due(self) -> None:
        if self._is_dirty and time.monotonic() - self._saved_s > _SAVE_S:
            self.save()

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_text(json.dumps(self.known))
        os.replace(beside, self._path)
        self._is_dirty, self._saved_s = False, time.monotonic()


def read_rooms(path: Path | None) -> Rooms:
    """Raises ServiceError for a file that is not as it should be."""
    if path is None:
        return {}
    found = _read_json(path)
    for rooms in found.values():
        if not isinstance(rooms, dict) or not all(
            isinstance(each, str) for each in rooms.values()
        ):
            raise ServiceError(
                f'{path} is not understood; write {{"DEVICE": {{"COMPONENT": "ROOM"}}}}'
            )
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ServiceError(f"{path} cannot be read ({error}); correct the file") from None
    if not isinstance(found, dict):
        raise ServiceError(f"{path} is not a JSON object; correct the file")
    return found


def _say(text: str) -> None:
    remarks().print(text, markup=False)
