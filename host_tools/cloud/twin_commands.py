"""`thermo twin …` and `thermo query`: what hub and device hold of each other."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.text import Text

from host_tools.cloud.connection import HubOption, JsonOption, WorkspaceOption, find, told
from host_tools.cloud.device_commands import DeviceArgument
from host_tools.cloud.output import (
    cell,
    count_rows,
    print_json,
    print_json_line,
    print_table,
    remarks,
    screen,
    waiting,
)
from host_tools.cloud.patches import build_patch, changes, mark_components
from host_tools.hub.certificates import DEFAULT_WORKSPACE

_PAGE = 100
_MOST_COLUMNS = 12

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
WordsArgument = Annotated[
    list[str], typer.Argument(metavar="PATH=VALUE…", help="VALUE is JSON, or else a text.")
]


@app.callback()
def twin() -> None:
    """The twin of a device: tags, desired and reported properties.

    [bold]Examples[/bold]

      thermo twin show bedroom
      thermo twin set bedroom thermostat1.targetTemperature=21.5
      thermo twin tag bedroom location.floor=1
      thermo twin watch bedroom
    """


@app.command()
def show(
    device_id: DeviceArgument,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Show a twin: each desired property beside what the device says of it.

    [bold]Example[/bold]

      thermo twin show bedroom
    """
    connection = find(hub, workspace)
    with told(connection.host):
        found = connection.registry().get_twin(device_id)
    document = _document(found)
    if as_json:
        print_json(document)
        return
    out = screen()
    model = document["modelId"] or "no model announced"
    out.print(Text(f"{device_id}, {document['connectionState']}, {model}", style="bold"))
    for path, _, value in changes({}, document["tags"]):
        out.print(Text(f"tag {path} = {cell(value)}"))
    print_table(("property", "desired", "reported", "answer"), _lines(document))


@app.command("set")
def set_desired(
    device_id: DeviceArgument,
    words: WordsArgument,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait for the device's answers; 0: do not wait."),
    ] = 0,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> int:
    """Set desired properties; null takes one away.

    A component's are written COMPONENT.NAME, and marked as such if the device reports
    that component. With --wait the device's answers are shown, and the exit code is 3
    if it refused one or gave none.

    [bold]Examples[/bold]

      thermo twin set bedroom targetTemperature=21.5
      thermo twin set bedroom thermostat1.targetTemperature=21.5 --wait 10
      thermo twin set bedroom thermostat1.targetTemperature=null
    """
    connection = find(hub, workspace)
    patch = build_patch(words)
    with told(connection.host):
        registry = connection.registry()
        before = registry.get_twin(device_id)
        marked = mark_components(patch, before.properties.reported)
        changed = registry.update_twin(device_id, _twin(desired=marked), before.etag)
        version = changed.properties.desired["$version"]
        answers: list[tuple[str, Any]] = []
        if wait:
            answers = _wait_for_answers(registry, device_id, marked, version, wait)
    if as_json:
        print_json({"version": version, "answers": dict(answers)})
    else:
        remarks().print(f"desired version {version}", markup=False)
        for path, answer in answers:
            screen().print(Text(f"{path}: {cell(answer) if answer else 'no answer in time'}"))
    return 0 if all(is_accepted(answer) for _, answer in answers) else 3


@app.command()
def tag(
    device_id: DeviceArgument,
    words: WordsArgument,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Set tags, which only services see; null takes one away.

    [bold]Example[/bold]

      thermo twin tag bedroom location.floor=1 location.building=north
    """
    connection = find(hub, workspace)
    patch = build_patch(words)
    with told(connection.host):
        connection.registry().update_twin(device_id, _twin(tags=patch), "*")
    remarks().print(f"tags of {device_id} are set", markup=False)


@app.command()
def watch(
    device_id: DeviceArgument,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between looks.")] = 2,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long; 0: at Ctrl-C.")] = 0,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object for each change, for programs.")
    ] = False,
) -> None:
    """Show changes of a twin as they come, until Ctrl-C.

    The twin is read again and again: on Azure each look is a metered operation.

    [bold]Example[/bold]

      thermo twin watch bedroom --interval 5
    """
    connection = find(hub, workspace)
    out, end = screen(), time.monotonic() + seconds if seconds else None
    with told(connection.host):
        registry = connection.registry()
        before = _document(registry.get_twin(device_id))
        remarks().print(f"watching {device_id}; Ctrl-C ends it", markup=False)
        try:
            while end is None or time.monotonic() < end:
                time.sleep(interval)
                after = _document(registry.get_twin(device_id))
                for path, old, new in changes(_parts(before), _parts(after)):
                    if as_json:
                        print_json_line({"path": path, "old": old, "new": new})
                    else:
                        now = time.strftime("%H:%M:%S")
                        out.print(Text(f"{now}  {path}: {cell(old) or '-'} → {cell(new) or '-'}"))
                before = after
        except KeyboardInterrupt:
            pass  # it is how this ends


def query(
    text: Annotated[str, typer.Argument(metavar="QUERY", help="In the hub's query language.")],
    most: Annotated[int, typer.Option("--most", min=1, help="So many rows at most.")] = 1000,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Ask the hub about its twins.

    [bold]Examples[/bold]

      thermo query "SELECT * FROM devices WHERE tags.location.floor = 1"
      thermo query "SELECT COUNT() AS n FROM devices
          WHERE properties.reported.connectivity = 'wifi'"
    """
    connection = find(hub, workspace)
    with told(connection.host), waiting(f"asking {connection.host}"):
        rows = _all_rows(connection.registry(), text, most)
    if as_json:
        print_json(rows)
        return
    names = columns(rows)
    print_table(names, [[row.get(name) for name in names] for row in rows])
    count_rows(rows)


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """What a table of `rows` shows: of whole twins the gist, else what the query chose."""
    if rows and {"deviceId", "desired", "reported"} <= set(rows[0]):
        return ["deviceId", "connectionState", "modelId", "tags"]
    return list(dict.fromkeys(name for row in rows for name in row))[:_MOST_COLUMNS]


def is_accepted(answer: Any) -> bool:
    """Whether a device's acknowledgement says yes; any device's, so `ac` may be anything."""
    code = answer.get("ac") if isinstance(answer, dict) else None
    return isinstance(code, int) and 200 <= code < 300


def _all_rows(registry: Any, text: str, most: int) -> list[dict[str, Any]]:
    from azure.iot.hub.models import QuerySpecification

    rows: list[dict[str, Any]] = []
    token = None
    while len(rows) < most:
        size = min(_PAGE, most - len(rows))
        page = registry.query_iot_hub(QuerySpecification(query=text), token, size)
        rows += [_row(item) for item in page.items or ()]
        token = page.continuation_token
        if not token:
            break
    return rows


def _row(item: Any) -> dict[str, Any]:
    """A whole twin as a document; of columns what the hub has named them."""
    if item.device_id is not None and item.properties is not None:
        return _document(item)
    named = {}
    # Columns that are called as a member of a twin, the SDK takes for one
    for attribute, place in item._attribute_map.items():
        value = getattr(item, attribute)
        if value is not None:
            named[place["key"]] = value.as_dict() if hasattr(value, "as_dict") else value
    return {**named, **item.additional_properties}


def _twin(tags: Any = None, desired: Any = None) -> Any:
    from azure.iot.hub.models import Twin, TwinProperties

    properties = None if desired is None else TwinProperties(desired=desired)
    return Twin(tags=tags, properties=properties)


def _document(found: Any) -> dict[str, Any]:
    return {
        "deviceId": found.device_id,
        "modelId": found.additional_properties.get("modelId", ""),
        "connectionState": found.connection_state,
        "etag": found.etag,
        "tags": found.tags or {},
        "desired": _without_metadata(found.properties.desired),
        "reported": _without_metadata(found.properties.reported),
    }


def _without_metadata(section: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (section or {}).items() if name != "$metadata"}


def _parts(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("connectionState", "tags", "desired", "reported")}


def _lines(document: dict[str, Any]) -> list[list[Any]]:
    """A row for each property that either side has."""
    rows = []
    desired, reported = _leaves(document["desired"]), _leaves(document["reported"])
    for path in sorted({*desired, *reported}):
        said = reported.get(path)
        if isinstance(said, dict) and {"value", "ac", "av"} <= set(said):
            answer = f"{said['ac']} for version {said['av']}: {said.get('ad', '')}"
            rows.append([path, desired.get(path), said["value"], answer])
        else:
            rows.append([path, desired.get(path), said, ""])
    return rows


def _leaves(section: dict[str, Any], path: str = "") -> dict[str, Any]:
    """{dotted path: value}; components are opened, acknowledgements are not."""
    found: dict[str, Any] = {}
    for name, value in section.items():
        if name.startswith("$") or name == "__t":
            continue
        below = f"{path}.{name}" if path else name
        if isinstance(value, dict) and value.get("__t") == "c":
            found.update(_leaves(value, below))
        else:
            found[below] = value
    return found


def _wait_for_answers(
    registry: Any, device_id: str, patch: dict[str, Any], version: int, wait_s: float
) -> list[tuple[str, Any]]:
    """The acknowledgement of each property of `patch` for that version, None without one."""
    paths, end = list(_leaves(patch)), time.monotonic() + wait_s
    while True:
        reported = _leaves(registry.get_twin(device_id).properties.reported)
        found = [(path, _answer(reported.get(path), version)) for path in paths]
        if all(answer for _, answer in found) or time.monotonic() > end:
            return found
        time.sleep(0.3)


def _answer(said: Any, version: int) -> dict[str, Any] | None:
    if not isinstance(said, dict) or "ac" not in said:
        return None
    # A default that was restored is of no version
    return said if said.get("av") == version or said["ac"] == 203 else None
