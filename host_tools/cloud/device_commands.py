"""`thermo device …`: the identities of a hub."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, Any

import typer

from host_tools.cloud.connection import (
    HubConnection,
    HubOption,
    JsonOption,
    WorkspaceOption,
    find,
    told,
)
from host_tools.cloud.output import print_json, print_table, remarks, waiting
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.service import ServiceError

_KEY_BYTES = 32
_MOST = 1000

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", help="Its device id.")]
ShowKeysOption = Annotated[
    bool, typer.Option("--show-keys", help="Print keys and connection string, too: secrets.")
]


@app.callback()
def device() -> None:
    """The devices that a hub knows: make, list, show, delete, give new keys.

    [bold]Examples[/bold]

      thermo device create bedroom
      thermo device list
      thermo device show bedroom --show-keys
      thermo device rotate bedroom
    """


@app.command()
def create(
    device_id: DeviceArgument,
    thumbprint: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="By certificate: SHA-1 or SHA-256 of it, no key."),
    ] = None,
    by_authority: Annotated[
        bool,
        typer.Option("--by-authority", help="By any certificate of an authority the hub trusts."),
    ] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Not let in yet.")] = False,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    show_keys: ShowKeysOption = False,
) -> None:
    """Make a device, by default with two fresh keys.

    [bold]Examples[/bold]

      thermo device create bedroom
      thermo device create bedroom --thumbprint 6B2E…
    """
    if thumbprint and by_authority:
        raise ServiceError("--thumbprint and --by-authority exclude each other; give one")
    connection = find(hub, workspace)
    status = "disabled" if disabled else "enabled"
    with told(connection.host):
        registry = connection.registry()
        if thumbprint:
            made = registry.create_device_with_x509(device_id, thumbprint, None, status)
        elif by_authority:
            made = registry.create_device_with_certificate_authority(device_id, status)
        else:
            made = registry.create_device_with_sas(device_id, _fresh_key(), _fresh_key(), status)
    _show(connection, made, as_json, show_keys)


@app.command("list")
def list_devices(
    most: Annotated[int, typer.Option("--most", min=1, max=_MOST, help="So many at most.")] = 100,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """List devices, without keys.

    [bold]Example[/bold]

      thermo device list --most 20
    """
    connection = find(hub, workspace)
    with told(connection.host), waiting(f"asking {connection.host}"):
        found = connection.registry().get_devices(most) or []
    documents = [_document(each, connection, show_keys=False) for each in found]
    if as_json:
        print_json(documents)
        return
    names = ("deviceId", "status", "connectionState", "authentication", "lastActivityTime")
    headings = ("device", "status", "connection", "known by", "last activity")
    print_table(headings, [[each[name] for name in names] for each in documents])


@app.command()
def show(
    device_id: DeviceArgument,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    show_keys: ShowKeysOption = False,
) -> None:
    """Show one device; its keys only when asked for.

    [bold]Examples[/bold]

      thermo device show bedroom
      thermo device show bedroom --show-keys --json | jq -r .connectionString
    """
    connection = find(hub, workspace)
    with told(connection.host):
        found = connection.registry().get_device(device_id)
    _show(connection, found, as_json, show_keys)


@app.command()
def delete(
    device_ids: Annotated[list[str], typer.Argument(metavar="DEVICE…", help="Their device ids.")],
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Delete devices, with their twins and what waits for them.

    [bold]Example[/bold]

      thermo device delete bedroom kitchen
    """
    connection = find(hub, workspace)
    with told(connection.host):
        registry = connection.registry()
        for device_id in device_ids:
            registry.delete_device(device_id)
            remarks().print(f"{device_id} is deleted", markup=False)


@app.command()
def rotate(
    device_id: DeviceArgument,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    show_keys: ShowKeysOption = False,
) -> None:
    """Give a device a new primary key; the one it has becomes its secondary key.

    So it goes on until it is given the new one (thermo provision). A second time,
    the old key is worth nothing any more.

    [bold]Example[/bold]

      thermo device rotate bedroom
    """
    connection = find(hub, workspace)
    with told(connection.host):
        registry = connection.registry()
        found = registry.get_device(device_id)
        kind = found.authentication.type if found.authentication else "nothing"
        if kind != "sas":
            raise ServiceError(
                f"the device {device_id} is known by {kind} and has no keys"
                "; make a new certificate instead"
            )
        keys = found.authentication.symmetric_key
        changed = registry.update_device_with_sas(
            device_id, found.etag, _fresh_key(), keys.primary_key, found.status
        )
    _show(connection, changed, as_json, show_keys)


def _fresh_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def _document(found: Any, connection: HubConnection, show_keys: bool) -> dict[str, Any]:
    authentication = found.authentication
    document = {
        "deviceId": found.device_id,
        "status": found.status,
        "connectionState": found.connection_state,
        "authentication": authentication.type if authentication else None,
        "lastActivityTime": str(found.last_activity_time or ""),
        "cloudToDeviceMessageCount": found.cloud_to_device_message_count,
        "etag": found.etag,
    }
    keys = authentication.symmetric_key if authentication else None
    if show_keys and keys and keys.primary_key:
        host = connection.host.partition(":")[0]
        document["primaryKey"] = keys.primary_key
        document["secondaryKey"] = keys.secondary_key
        document["connectionString"] = (
            f"HostName={host};DeviceId={found.device_id};SharedAccessKey={keys.primary_key}"
        )
    return document


def _show(connection: HubConnection, found: Any, as_json: bool, show_keys: bool) -> None:
    document = _document(found, connection, show_keys)
    if as_json:
        print_json(document)
    else:
        print_table(("", ""), [[name, value] for name, value in document.items()])
