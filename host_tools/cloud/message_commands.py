"""`thermo call`, `thermo send` and `thermo events`: commands, messages, telemetry."""

from __future__ import annotations

import datetime
import json
import math
import re
import time
import uuid
from collections import deque
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from host_tools.cloud.connection import (
    HubConnection,
    HubOption,
    JsonOption,
    WorkspaceOption,
    find,
    sdk,
    told,
)
from host_tools.cloud.device_commands import DeviceArgument
from host_tools.cloud.event_reader import read_events
from host_tools.cloud.output import (
    cell,
    print_json,
    print_json_line,
    remarks,
    screen,
    waiting,
)
from host_tools.cloud.patches import parse_value
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.printable import printable
from host_tools.service import ServiceError

_PERIOD = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_KEPT_LINES = 15
_QUEUED = 10_000
_FEEDBACK_PAUSE_S = 1.0


def call(
    device_id: DeviceArgument,
    name: Annotated[
        str, typer.Argument(metavar="[COMPONENT*]COMMAND", help="What the device is to do.")
    ],
    payload: Annotated[
        str | None, typer.Argument(metavar="[PAYLOAD]", help="JSON, or else a text.")
    ] = None,
    timeout: Annotated[
        int, typer.Option(min=5, max=300, help="Seconds that the device may take.")
    ] = 30,
    connect_timeout: Annotated[
        int, typer.Option(min=0, max=300, help="Seconds to wait for it to come online.")
    ] = 0,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> int:
    """Call a command of a device, and print its answer.

    Exit code 0 for a status below 300, 3 for another: then the device said no.

    [bold]Examples[/bold]

      thermo call bedroom reboot 3
      thermo call bedroom "thermostat1*getMaxMinReport" 2026-11-27T00:00:00Z
    """
    connection = find(hub, workspace)
    with told(connection.host), waiting(f"calling {name}"):
        request = sdk("azure.iot.hub.models").CloudToDeviceMethod(
            method_name=name,
            payload=None if payload is None else parse_value(payload),
            response_timeout_in_seconds=timeout,
            connect_timeout_in_seconds=connect_timeout,
        )
        result = connection.registry().invoke_device_method(device_id, request)
    if as_json:
        print_json({"status": result.status, "payload": result.payload})
    else:
        remarks().print(f"status {result.status}", markup=False)
        if result.payload is not None:
            print_json(result.payload)
    return 0 if int(result.status) < 300 else 3


def send(
    device_id: DeviceArgument,
    text: Annotated[
        str, typer.Argument(metavar="TEXT|-", help="The message; - reads standard input.")
    ],
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", "-P", metavar="NAME=VALUE", help="Of your own. Repeatable."),
    ] = None,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Without it a fresh one.")
    ] = None,
    correlation_id: Annotated[str | None, typer.Option(metavar="ID")] = None,
    expire: Annotated[
        float | None, typer.Option(min=1, help="Seconds after which it is no longer delivered.")
    ] = None,
    ack: Annotated[
        str, typer.Option(metavar="none|positive|negative|full", help="Feedback to ask for.")
    ] = "none",
    wait: Annotated[
        float, typer.Option(min=0, help="With --ack: seconds to wait for feedback.")
    ] = 0,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> int:
    """Send a message to a device; it waits with the hub until the device takes it.

    With --ack full --wait 60 the command says what became of it: exit code 0 when the
    device took it, 3 when it was refused, expired, or nothing was heard in time.
    Feedback on other messages that comes meanwhile is shown, and not kept.

    [bold]Examples[/bold]

      thermo send bedroom "good night" --expire 600
      thermo send bedroom "wake up" --ack full --wait 60 -P level=high
    """
    if ack not in ("none", "positive", "negative", "full"):
        raise ServiceError(f"--ack {ack} is not known; choose none, positive, negative or full")
    if wait and ack == "none":
        raise ServiceError("--wait waits for feedback; ask for it with --ack full")
    if expire and math.isinf(expire):
        raise ServiceError("--expire inf is no time; give seconds, or leave it away")
    connection = find(hub, workspace)
    body = _standard_input() if text == "-" else text
    name = message_id or str(uuid.uuid4())
    # Names as the SDK knows the system properties; the others are the user's own
    given: dict[str, Any] = {**_own_properties(properties or []), "messageId": name}
    if correlation_id:
        given["correlationId"] = correlation_id
    if ack != "none":
        given["iothub-ack"] = ack
    if expire:
        given["expiryTimeUtc"] = int((time.time() + expire) * 1000)
    with told(connection.host):
        registry = connection.registry()
        registry.send_c2d_message(device_id, body, properties=given)
        remarks().print(f"message {name} waits for {device_id}", markup=False)
        outcome = _feedback(connection, name, wait) if wait else None
    if as_json:
        print_json({"messageId": name, "outcome": outcome})
    elif wait:
        screen().print(Text(outcome or "nothing was heard in time"))
    return 0 if not wait or outcome == "Success" else 3


def events(
    device_id: Annotated[
        str | None, typer.Option("--device", "-d", metavar="DEVICE", help="Of this one only.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="now|start|10m", help="From when on: s, m, h or d.")
    ] = "now",
    count: Annotated[int, typer.Option(min=0, help="End after so many; 0: at Ctrl-C.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long; 0: at Ctrl-C.")] = 0,
    group: Annotated[
        str, typer.Option(metavar="NAME", help="Consumer group of the endpoint.")
    ] = "$Default",
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object for each event, for programs.")
    ] = False,
) -> int:
    """Show what devices send, as it comes: telemetry, and events that are routed along.

    Read from the hub's Event Hubs-compatible endpoint; for a hub on Azure its connection
    string is in EVENT_HUB_CONN_STR. With --count, exit code 1 if --seconds pass before.

    [bold]Examples[/bold]

      thermo events
      thermo events --device bedroom --since 10m
      thermo events --json --count 5 --seconds 60 | jq .body
    """
    connection = find(hub, workspace)
    start = _start(since)
    end = time.monotonic() + seconds if seconds else None

    def is_over() -> bool:
        return end is not None and time.monotonic() > end

    view: _View = _Lines(as_json) if as_json or not screen().is_terminal else _Screen()
    shown = 0
    with told(connection.host), view:
        try:
            for event in read_events(connection, group, start, is_over):
                if device_id is None or event["device"] == device_id:
                    view.show(event)
                    shown += 1
                    if count and shown >= count:
                        break
        except KeyboardInterrupt:
            pass  # it is how this ends
    return 1 if count and shown < count else 0


# ---- messages


def _standard_input() -> str:
    try:
        return typer.get_text_stream("stdin").read()
    except UnicodeDecodeError:
        raise ServiceError(
            "standard input is no text in UTF-8; a message to a device is a text, so encode it"
        ) from None


def _own_properties(words: list[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ServiceError(f"--property {word} is not understood; write NAME=VALUE")
        found[name] = value
    return found


def _feedback(connection: HubConnection, message_id: str, wait_s: float) -> str | None:
    """What became of the message: Success, or why not; None if nothing was heard in time."""
    runtime, end = connection.runtime(), time.monotonic() + wait_s
    with waiting("waiting for feedback"):
        while time.monotonic() < end:
            batch = runtime.protocol.cloud_to_device_messages.receive_feedback_notification(
                raw=True
            ).response
            if batch.status_code != 200:
                time.sleep(_FEEDBACK_PAUSE_S)
                continue
            records = json.loads(batch.text() if callable(batch.text) else batch.text)
            lock = str(batch.headers.get("ETag", "")).strip('"')
            runtime.complete_feedback_notification(lock)
            for record in records:
                if record.get("originalMessageId") == message_id:
                    return str(record.get("description") or record.get("statusCode"))
                remarks().print(
                    f"of another message, {record.get('originalMessageId')}: "
                    f"{record.get('description')}",
                    markup=False,
                )
    return None


# ---- events


def _start(text: str) -> Any:
    """A starting position of azure-eventhub's. Raises ServiceError."""
    if text in ("now", "start"):
        return "@latest" if text == "now" else "-1"
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise ServiceError(f"--since {text} is not understood; write now, start, 30s, 10m, 2h, 1d")
    seconds = int(match[1]) * _UNITS_S[match[2]]
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)


class _View:
    def __enter__(self) -> _View:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing stays behind."""

    def show(self, event: dict[str, Any]) -> None:
        """One more has come."""


class _Lines(_View):
    """One line for each event: text, or JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def show(self, event: dict[str, Any]) -> None:
        if self._as_json:
            print_json_line(event)
        else:
            print(_line(event), flush=True)


class _Screen(_View):
    """The last events, and beside each device how many there were and what it sent last."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._devices: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self._live = Live(Text("waiting for events; Ctrl-C ends it"), refresh_per_second=4)

    def __enter__(self) -> _Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, event: dict[str, Any]) -> None:
        key = event["device"], event["component"]
        number, _ = self._devices.get(key, (0, {}))
        self._devices[key] = number + 1, event
        self._last.append(_line(event))
        self._live.update(self._drawn())

    def _drawn(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("device", "component", "events", "last", "values"):
            table.add_column(heading)
        for (device, component), (number, event) in sorted(self._devices.items()):
            words = (device, component, str(number), event["time"][11:19], cell(event["body"]))
            table.add_row(*map(Text, words))
        lines = (Text(line, overflow="ellipsis", no_wrap=True) for line in self._last)
        return Group(table, Text(""), *lines)


def _line(event: dict[str, Any]) -> str:
    where = event["device"] + (f"/{event['component']}" if event["component"] else "")
    source = "" if event["source"] == "Telemetry" else f" [{event['source']}]"
    return f"{event['time'][11:19]}  {printable(where)}{source}  {cell(event['body'])}"
