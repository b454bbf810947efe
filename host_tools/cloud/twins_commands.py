"""`thermo twins …`: the graph of a building: its twins, what relates them, queries, routes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from host_tools.cloud.connection import JsonOption, WorkspaceOption, sdk, told
from host_tools.cloud.output import count_rows, print_json, print_table, remarks
from host_tools.cloud.patches import build_patch, parse_value
from host_tools.cloud.twins_connection import TwinsOption, find_twins, fresh_twin, interfaces_of
from host_tools.hub.certificates import DEFAULT_WORKSPACE

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
TwinArgument = Annotated[str, typer.Argument(metavar="TWIN", help="The twin's id.")]
WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH=VALUE…]", help="VALUE is JSON, or else a text."),
]
_MOST_COLUMNS = 8


@app.callback()
def twins_of_a_building() -> None:
    """Azure Digital Twins: rooms, floors, devices, and how they belong together.

    [bold]Examples[/bold]

      thermo twins models upload
      thermo twins create kitchen --model "dtmi:com:example:Room;1" name=Kitchen
      thermo twins relate floor1 contains kitchen isAccessRestricted=false
      thermo twins bridge --rooms rooms.json
      thermo twins query "SELECT * FROM DIGITALTWINS T WHERE T.temperature > 21"
    """


@app.command()
def create(
    twin_id: TwinArgument,
    words: WordsArgument = None,
    model: Annotated[str, typer.Option(metavar="DTMI", help="What it is.")] = "",
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Create a twin; one of that id must not exist yet.

    [bold]Examples[/bold]

      thermo twins create floor1 --model "dtmi:com:example:Floor;1" name=First
      thermo twins create t1 --model "dtmi:com:example:TemperatureController;1"
    """
    connection, properties = find_twins(twins, workspace), build_patch(words or [])
    if not model:
        raise typer.BadParameter("name the model, as in --model 'dtmi:com:example:Room;1'")
    with told(connection.url):
        client = connection.client()
        components = [name for name in interfaces_of(client, model) if name]
        missing = sdk("azure.core").MatchConditions.IfMissing
        twin = fresh_twin(model, components, properties)
        client.upsert_digital_twin(twin_id, twin, match_condition=missing)
    remarks().print(f"{twin_id} is created", markup=False)


@app.command()
def show(
    twin_id: TwinArgument,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Show a twin: its values, and its relationships in both directions.

    [bold]Example[/bold]

      thermo twins show kitchen
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        client = connection.client()
        twin = client.get_digital_twin(twin_id)
        leaving = [dict(each) for each in client.list_relationships(twin_id)]
        coming = list(client.list_incoming_relationships(twin_id))
    if as_json:
        print_json({"twin": twin, "relationships": leaving})
        return
    remarks().print(f"{twin_id}, {twin['$metadata']['$model']}", style="bold", markup=False)
    print_table(("property", "value", "updated"), list(_leaves(twin)))
    edges = [(each["$relationshipName"], each["$targetId"], "") for each in leaving]
    edges += [(each.relationship_name, "", each.source_id) for each in coming]
    if edges:
        print_table(("relationship", "to", "from"), edges)


@app.command()
def update(
    twin_id: TwinArgument,
    words: WordsArgument = None,
    component: Annotated[str, typer.Option(metavar="NAME", help="Of this component.")] = "",
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Set properties of a twin; null takes one away.

    [bold]Example[/bold]

      thermo twins update kitchen targetTemperature=21.5
    """
    connection = find_twins(twins, workspace)
    operations = json_patch(build_patch(words or []))
    with told(connection.url):
        client = connection.client()
        if component:
            client.update_component(twin_id, component, operations)
        else:
            client.update_digital_twin(twin_id, operations)
    remarks().print(f"{twin_id} is updated", markup=False)


@app.command()
def delete(
    twin_id: TwinArgument,
    with_relationships: Annotated[
        bool, typer.Option("--with-relationships", help="Those too, in both directions.")
    ] = False,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Delete a twin. One that is related to others is kept, unless these go too.

    [bold]Example[/bold]

      thermo twins delete kitchen --with-relationships
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        client = connection.client()
        if with_relationships:
            for each in list(client.list_relationships(twin_id)):
                client.delete_relationship(twin_id, each["$relationshipId"])
            for each in list(client.list_incoming_relationships(twin_id)):
                client.delete_relationship(each.source_id, each.relationship_id)
        client.delete_digital_twin(twin_id)
    remarks().print(f"{twin_id} is deleted", markup=False)


@app.command()
def relate(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Id of a twin.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in the source's model.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Id of a twin.")],
    words: WordsArgument = None,
    relationship_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="Without it: SOURCE-NAME-TARGET.")
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take it away instead.")] = False,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Relate two twins: SOURCE NAME TARGET, as in "floor1 contains kitchen".

    [bold]Examples[/bold]

      thermo twins relate floor1 contains kitchen isAccessRestricted=false
      thermo twins relate kitchen isFeltBy t1 component=thermostat1
      thermo twins relate floor1 contains kitchen --remove
    """
    connection = find_twins(twins, workspace)
    identifier = relationship_id or f"{source}-{name}-{target}"
    body = {**build_patch(words or []), "$relationshipName": name, "$targetId": target}
    with told(connection.url):
        client = connection.client()
        if remove:
            client.delete_relationship(source, identifier)
        else:
            client.upsert_relationship(source, identifier, body)
    what = "is gone" if remove else "is there"
    remarks().print(f"the relationship {identifier} {what}", markup=False)


@app.command()
def query(
    text: Annotated[str, typer.Argument(metavar="QUERY", help="In the language of the service.")],
    top: Annotated[int, typer.Option(min=1, help="End after so many rows.")] = 1000,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Ask the graph.

    [bold]Examples[/bold]

      thermo twins query "SELECT * FROM DIGITALTWINS T WHERE T.temperature > 21"
      thermo twins query "SELECT R FROM DIGITALTWINS F JOIN R RELATED F.contains
        WHERE F.\\$dtId = 'floor1'"
    """
    connection = find_twins(twins, workspace)
    rows = []
    with told(connection.url):
        for row in connection.client().query_twins(text):
            rows.append(dict(row))
            if len(rows) >= top:
                break
    if as_json:
        print_json(rows)
        return
    flat = [{path: value for path, value, _ in _leaves(row)} for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))[:_MOST_COLUMNS]
    print_table(columns, [[row.get(name) for name in columns] for row in flat])
    count_rows(rows)


@app.command()
def telemetry(
    twin_id: TwinArgument,
    payload: Annotated[str, typer.Argument(metavar="PAYLOAD", help="JSON.")],
    component: Annotated[str, typer.Option(metavar="NAME", help="Of this component.")] = "",
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Publish telemetry of a twin, for event routes to carry on.

    [bold]Example[/bold]

      thermo twins telemetry t1 '{"temperature": 21}' --component thermostat1
    """
    connection, value = find_twins(twins, workspace), parse_value(payload)
    with told(connection.url):
        client = connection.client()
        if component:
            client.publish_component_telemetry(twin_id, component, value)
        else:
            client.publish_telemetry(twin_id, value)
    remarks().print("published", markup=False)


@app.command()
def routes(
    add: Annotated[
        tuple[str, str, str] | None,
        typer.Option("--add", metavar="ID ENDPOINT FILTER", help="Add one, or replace it."),
    ] = None,
    delete: Annotated[str, typer.Option("--delete", metavar="ID", help="Delete one.")] = "",
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Event routes: which changes and telemetry of the graph go where.

    [bold]Examples[/bold]

      thermo twins routes
      thermo twins routes --add changes events "type = 'Microsoft.DigitalTwins.Twin.Update'"
      thermo twins routes --delete changes
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        client = connection.client()
        if add is not None:
            route = sdk("azure.digitaltwins.core").DigitalTwinsEventRoute(
                endpoint_name=add[1], filter=add[2]
            )
            client.upsert_event_route(add[0], route)
        if delete:
            client.delete_event_route(delete)
        found = [
            {"id": each.id, "endpoint": each.endpoint_name, "filter": each.filter}
            for each in client.list_event_routes()
        ]
    if as_json:
        print_json(found)
    else:
        print_table(("route", "endpoint", "filter"), [list(each.values()) for each in found])


def json_patch(patch: dict[str, Any], path: str = "") -> list[dict[str, Any]]:
    """Operations that set what `patch` says, leaf by leaf; null removes."""
    found: list[dict[str, Any]] = []
    for name, value in patch.items():
        place = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, dict) and value:
            found += json_patch(value, place)
        elif value is None:
            found.append({"op": "remove", "path": place})
        else:
            found.append({"op": "add", "path": place, "value": value})
    return found


def _leaves(document: dict[str, Any], path: str = "") -> Any:
    """(dotted path, value, when it was written) of each value; `$metadata` is not opened."""
    times = document.get("$metadata")
    times = times if isinstance(times, dict) else {}
    for name, value in document.items():
        below = f"{path}.{name}" if path else name
        if name in ("$metadata", "$etag"):
            continue
        if isinstance(value, dict) and value:
            yield from _leaves(value, below)
        else:
            entry = times.get(name)
            yield below, value, entry.get("lastUpdateTime") if isinstance(entry, dict) else None
