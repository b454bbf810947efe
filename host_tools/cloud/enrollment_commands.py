"""`thermo dps …`: enrolments of the provisioning service.

Its REST interface, the same on Azure and at the local hub; there is no maintained SDK for it.
Source: Azure IoT Hub Device Provisioning Service REST API, service, 2021-10-01.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.progress import Progress

from host_tools import credentials
from host_tools.cloud.connection import (
    PROVISIONING_VARIABLE,
    HubOption,
    JsonOption,
    WorkspaceOption,
    find,
    sdk,
    told,
)
from host_tools.cloud.device_commands import ShowKeysOption
from host_tools.cloud.output import print_json, print_table, remarks
from host_tools.cloud.patches import build_patch
from host_tools.credentials import CredentialError, Secret
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.service import ServiceConnection, ServiceError, parse_connection_string

_API = "2021-10-01"
_TIMEOUT_S = 30

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Registration id, or group id.")]
GroupOption = Annotated[bool, typer.Option("--group", help="It is a group of devices.")]


@app.callback()
def dps() -> None:
    """The provisioning service: which devices may come, and what they become.

    Its connection string is in DPS_CONNECTION_STRING; the local hub has one of its own.

    [bold]Examples[/bold]

      thermo dps create bedroom --show-keys
      thermo dps create all-stoves --group
      thermo dps derive-key --registration-id bedroom < group.key
    """


@app.command()
def create(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="One or many.")],
    group: GroupOption = False,
    certificate: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="By certificate: the device's, or the authority's."),
    ] = None,
    device_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Other than the registration id.")
    ] = None,
    twin: Annotated[
        list[str] | None,
        typer.Option("--desired", metavar="PATH=VALUE", help="Of its first twin. Repeatable."),
    ] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Nobody may come yet.")] = False,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    show_keys: ShowKeysOption = False,
) -> None:
    """Make enrolments, by default by keys that the service makes.

    [bold]Examples[/bold]

      thermo dps create bedroom kitchen
      thermo dps create all-stoves --group --desired thermostat1.targetTemperature=19
      thermo dps create works --group --certificate works.pem
    """
    if device_id and (group or len(names) > 1):
        raise ServiceError("--device-id is for one enrolment of its own; leave it away")
    document: dict[str, Any] = {
        "attestation": _attestation(certificate, group),
        "provisioningStatus": "disabled" if disabled else "enabled",
    }
    if twin:
        document["initialTwin"] = {"properties": {"desired": build_patch(twin)}}
    if device_id:
        document["deviceId"] = device_id
    service = _find(hub, workspace)
    made = []
    with told(service.host), _progress("enrolments", len(names)) as bar:
        for name in names:
            kind = {"enrollmentGroupId" if group else "registrationId": name}
            service.call("PUT", _path(name, group), {**document, **kind})
            made.append(_shown(service, name, group, show_keys))
            bar.advance(bar.task_ids[0])
    _print(made, as_json)


@app.command("list")
def list_enrollments(
    group: GroupOption = False,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """List enrolments, or groups.

    [bold]Example[/bold]

      thermo dps list --group
    """
    service = _find(hub, workspace)
    with told(service.host):
        kind = "enrollmentGroups" if group else "enrollments"
        found = service.all(f"/{kind}/query", {"query": "SELECT * FROM enrollments"})
    _print([_document(each) for each in found], as_json)


@app.command()
def show(
    name: NameArgument,
    group: GroupOption = False,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    show_keys: ShowKeysOption = False,
) -> None:
    """Show an enrolment, and what has become of its device.

    [bold]Example[/bold]

      thermo dps show bedroom
    """
    service = _find(hub, workspace)
    with told(service.host):
        found = _shown(service, name, group, show_keys)
        registration = None
        if not group:
            path = f"/registrations/{quote(name, safe='')}"
            registration = service.call("GET", path, None, may_be_missing=True)
    if registration:
        found["registration"] = registration.get("status")
        found["assignedHub"] = registration.get("assignedHub")
    _print([found], as_json)


@app.command()
def delete(
    names: Annotated[list[str], typer.Argument(metavar="NAME…")],
    group: GroupOption = False,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Delete enrolments. Devices that have come stay on their hub.

    [bold]Example[/bold]

      thermo dps delete bedroom
    """
    service = _find(hub, workspace)
    with told(service.host):
        for name in names:
            service.call("DELETE", _path(name, group), None)
            remarks().print(f"{name} is deleted", markup=False)


@app.command("derive-key")
def derive_key(
    registration_id: Annotated[str, typer.Option(metavar="ID", help="Of the device.")],
    source: Annotated[
        str, typer.Option("--from", metavar="FILE|-", help="Where the group's key is.")
    ] = "-",
) -> None:
    """Print the key of one device of a group, derived from the group's key.

    [bold]Example[/bold]

      thermo dps derive-key --registration-id bedroom --from group.key
    """
    group_key = Secret(credentials.read(source, "--from").decode(errors="replace").strip())
    try:
        print(credentials.device_key(group_key, registration_id).reveal())
    except UnicodeEncodeError:
        raise ServiceError(
            f"--registration-id {registration_id} is no text in UTF-8; correct it"
        ) from None


# ---- the service


@dataclass
class _Service:
    connection: ServiceConnection
    session: Any

    @property
    def host(self) -> str:
        return self.connection.address

    def call(
        self, verb: str, path: str, body: Any, may_be_missing: bool = False
    ) -> dict[str, Any] | None:
        """Raises what `told` translates."""
        answer = self._request(verb, path, body, {})
        if answer.status_code == 404 and may_be_missing:
            return None
        _check(answer)
        return dict(answer.json()) if answer.content else None

    def all(self, path: str, body: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        headers: dict[str, str] = {}
        while True:
            answer = self._request("POST", path, body, headers)
            _check(answer)
            found += answer.json()
            token = answer.headers.get("x-ms-continuation")
            if not token:
                return found
            headers = {"x-ms-continuation": token}

    def _request(self, verb: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        token = self.connection.token(time.time())
        return self.session.request(
            verb,
            f"https://{self.host}{path}",
            params={"api-version": _API},
            json=body,
            headers={"Authorization": token, **headers},
            timeout=_TIMEOUT_S,
            allow_redirects=False,
        )


def _check(answer: Any) -> None:
    if answer.status_code >= 300:
        error = sdk("requests").HTTPError(f"{answer.status_code}")
        error.response = answer
        raise error


def _find(hub: str | None, workspace: Path) -> _Service:
    """Raises CredentialError."""
    text = os.environ.get(PROVISIONING_VARIABLE)
    if hub is None and text:
        secret: Secret | None = Secret(text)
    elif hub in (None, "local", "env"):
        secret = find(hub, workspace).provisioning
    else:
        secret = Secret(credentials.read(hub or "", "--hub").decode(errors="replace").strip())
    if secret is None:
        raise CredentialError(
            f"the provisioning service is not known; set {PROVISIONING_VARIABLE} to its "
            "connection string"
        )
    return _Service(parse_connection_string(secret), sdk("requests").Session())


def _path(name: str, group: bool) -> str:
    return f"/{'enrollmentGroups' if group else 'enrollments'}/{quote(name, safe='')}"


def _attestation(certificate: Path | None, group: bool) -> dict[str, Any]:
    if certificate is None:
        return {"type": "symmetricKey", "symmetricKey": {}}
    try:
        pem = certificate.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{certificate} cannot be read ({error}); name a PEM file") from None
    place = "signingCertificates" if group else "clientCertificates"
    return {"type": "x509", "x509": {place: {"primary": {"certificate": pem}}}}


def _shown(service: _Service, name: str, group: bool, show_keys: bool) -> dict[str, Any]:
    found = _document(service.call("GET", _path(name, group), None) or {})
    if show_keys:
        path = _path(name, group) + "/attestationmechanism"
        keys = (service.call("POST", path, None) or {}).get("symmetricKey") or {}
        found.update({key: keys.get(key) for key in ("primaryKey", "secondaryKey")})
    return found


def _document(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": found.get("registrationId") or found.get("enrollmentGroupId"),
        "status": found.get("provisioningStatus"),
        "attestation": (found.get("attestation") or {}).get("type"),
        "deviceId": found.get("deviceId"),
        "etag": found.get("etag"),
    }


def _print(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found:
        print_table(list(found[0]), [list(each.values()) for each in found])


def _progress(text: str, total: int) -> Progress:
    console = remarks()
    bar = Progress(console=console, transient=True, disable=total < 2 or not console.is_terminal)
    bar.add_task(text, total=total)
    return bar
