"""`thermo twins models …`: what kinds of twins there may be."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools.certify.model import load_models
from host_tools.cloud.connection import JsonOption, WorkspaceOption, told
from host_tools.cloud.output import print_json, print_table, remarks
from host_tools.cloud.twins_connection import TwinsOption, find_twins
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.tree import source_tree

ONTOLOGY = Path(__file__).resolve().parents[1] / "ontology"
_AT_ONCE = 100  # the service takes 250

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
ModelArgument = Annotated[str, typer.Argument(metavar="DTMI", help="The model's identifier.")]


@app.callback()
def models() -> None:
    """The models of the graph.

    [bold]Examples[/bold]

      thermo twins models upload
      thermo twins models list
      thermo twins models delete "dtmi:com:example:Room;1"
    """


@app.command()
def upload(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER…]",
            help="With DTDL files. Without any: the device's models and a small building's.",
        ),
    ] = None,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Upload models; those that are there already are left as they are.

    [bold]Examples[/bold]

      thermo twins models upload
      thermo twins models upload my/models
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        added, known = upload_models(connection.client(), folders or bundled())
    remarks().print(f"{added} models are uploaded, {known} were there already", markup=False)


@app.command("list")
def list_models(
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """List the models.

    [bold]Example[/bold]

      thermo twins models list
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        found = [_described(each) for each in connection.client().list_models()]
    if as_json:
        print_json(found)
        return
    rows = [(each["id"], each["displayName"], _status(each), each["uploaded"]) for each in found]
    print_table(("model", "name", "status", "uploaded"), rows)


@app.command()
def show(
    dtmi: ModelArgument,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Print a model, as JSON.

    [bold]Example[/bold]

      thermo twins models show "dtmi:com:example:Room;1"
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        print_json(connection.client().get_model(dtmi, include_model_definition=True).model)


@app.command()
def decommission(
    dtmi: ModelArgument,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Allow no new twins of a model; those that exist go on.

    [bold]Example[/bold]

      thermo twins models decommission "dtmi:com:example:Room;1"
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        connection.client().decommission_model(dtmi)
    remarks().print(f"{dtmi} is decommissioned", markup=False)


@app.command()
def delete(
    dtmi: ModelArgument,
    twins: TwinsOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Delete a model that no other needs. Its twins can then only be read and deleted.

    [bold]Example[/bold]

      thermo twins models delete "dtmi:com:example:Room;1"
    """
    connection = find_twins(twins, workspace)
    with told(connection.url):
        connection.client().delete_model(dtmi)
    remarks().print(f"{dtmi} is deleted", markup=False)


def bundled() -> list[Path]:
    return [source_tree() / "firmware" / "models", ONTOLOGY]


def upload_models(client: Any, folders: list[Path]) -> tuple[int, int]:
    """Returns: how many were added, and how many were there. Raises ServiceError, and what the
    SDK raises."""
    wanted: dict[str, Any] = {}
    for folder in folders:
        wanted |= load_models(folder)
    known = {each.id for each in client.list_models()}
    missing = iter([document for dtmi, document in wanted.items() if dtmi not in known])
    added = 0
    while part := list(itertools.islice(missing, _AT_ONCE)):
        added += len(client.create_models(part))
    return added, len(wanted) - added


def _described(model: Any) -> dict[str, Any]:
    return {
        "id": model.id,
        "displayName": next(iter((model.display_name or {}).values()), ""),
        "decommissioned": model.decommissioned,
        "uploaded": str(model.upload_time),
    }


def _status(model: dict[str, Any]) -> str:
    return "decommissioned" if model["decommissioned"] else ""
