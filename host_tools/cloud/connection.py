"""Which hub the verbs speak to, its SDK clients, and its refusals in one line.

The SDKs are loaded when they are needed: they take a second, and are an optional extra.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import credentials
from host_tools.credentials import CredentialError, Secret
from host_tools.hub import running
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.service import ServiceError, parse_connection_string

SERVICE_VARIABLE = "IOTHUB_CONNECTION_STRING"
HOST_VARIABLE = "IOTHUB_HOSTNAME"
EVENTS_VARIABLE = "EVENT_HUB_CONN_STR"
PROVISIONING_VARIABLE = "DPS_CONNECTION_STRING"
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")

HubOption = Annotated[
    str | None,
    typer.Option(
        "--hub",
        metavar="local|env|FILE|-",
        help="Which hub: the local one of --workspace, that of IOTHUB_CONNECTION_STRING, or of a "
        "connection string in a file of mode 0600 or on standard input. Without it: env if that "
        "is set, else by DefaultAzureCredential if IOTHUB_HOSTNAME is, else local.",
    ),
]
WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", file_okay=False, help="Of the local hub.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]


@dataclass(frozen=True)
class HubConnection:
    """`text`: the service's connection string; None: by DefaultAzureCredential. `events`: the
    Event Hubs-compatible endpoint's, `provisioning`: the provisioning service's, if known."""

    host: str
    text: Secret | None = field(repr=False)
    events: Secret | None = field(default=None, repr=False)
    provisioning: Secret | None = field(default=None, repr=False)

    def registry(self) -> Any:
        return self._client("IoTHubRegistryManager")

    def runtime(self) -> Any:
        return self._client("IoTHubHttpRuntimeManager")

    def jobs(self) -> Any:
        return self._client("IoTHubJobManager")

    def digital_twins(self) -> Any:
        return self._client("DigitalTwinClient")

    def _client(self, name: str) -> Any:
        """Raises ServiceError when the SDK is not installed."""
        found = getattr(sdk("azure.iot.hub"), name)
        if self.text is not None:
            return found.from_connection_string(self.text.reveal())
        credential = sdk("azure.identity").DefaultAzureCredential()
        return found.from_token_credential(self.host, credential)


def find(name: str | None, workspace: Path = DEFAULT_WORKSPACE) -> HubConnection:
    """Raises CredentialError, ServerError."""
    if name is None:
        name = "env" if os.environ.get(SERVICE_VARIABLE) else None
    if name is None and os.environ.get(HOST_VARIABLE):
        return HubConnection(os.environ[HOST_VARIABLE], None, _events())
    if name is None and (workspace / running.FILE).exists():
        name = "local"
    if name is None:
        raise CredentialError(
            f"no hub is named; set {SERVICE_VARIABLE}, or start a local one with "
            "`thermo hub start`, or see --hub"
        )
    if name == "local":
        return _local(workspace)
    if name == "env":
        text = os.environ.get(SERVICE_VARIABLE)
        if not text:
            raise CredentialError(
                f"{SERVICE_VARIABLE} is not set; set it, or name a file of mode 0600 with --hub"
            )
        secret = Secret(text)
    else:
        secret = Secret(credentials.read(name, "--hub").decode(errors="replace").strip())
    host = parse_connection_string(secret).address
    return HubConnection(host, secret, _events(), _of_environment(PROVISIONING_VARIABLE))


def _local(workspace: Path) -> HubConnection:
    found = running.find(workspace)
    trust_local(workspace)
    host = parse_connection_string(found.service).address
    return HubConnection(host, found.service, found.events, found.provisioning)


def trust_local(workspace: Path) -> None:
    """The SDKs find the local hub's authority by the usual variables."""
    bundle = str((workspace / "ca-bundle.pem").resolve())
    for name in _TRUST:
        os.environ[name] = bundle
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"


def _events() -> Secret | None:
    return _of_environment(EVENTS_VARIABLE)


def _of_environment(name: str) -> Secret | None:
    text = os.environ.get(name)
    return Secret(text) if text else None


def sdk(name: str) -> Any:
    """A module of Microsoft's. Raises ServiceError when it is not installed."""
    try:
        return __import__(name, fromlist=["*"])
    except ImportError as error:
        raise ServiceError(
            f"this needs Microsoft's package {name.replace('.', '-')} ({error}); "
            "install thermo with its extra: pip install 'thermo-tools[azure]'"
        ) from None


@contextlib.contextmanager
def told(host: str) -> Iterator[None]:
    """What goes wrong in an SDK, as a ServiceError of one line."""
    try:
        yield
    except (ServiceError, CredentialError, KeyboardInterrupt):
        raise
    except BrokenPipeError:  # of standard output; what breaks in a network has the SDKs' own types
        raise
    except Exception as error:
        raise ServiceError(_explain(host, error)) from error


def _explain(host: str, error: Exception) -> str:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is not None:
        return f"{host} refused it with {status} ({_short(_body_of(response))}); {_advice(status)}"
    kind = type(error).__name__
    if "Credential" in kind or "Authentication" in kind:
        return f"the hub {host} refuses the credentials; they may have been renewed: take new ones"
    text = str(error).splitlines()[0] if str(error) else kind
    if any(word in kind for word in ("Connection", "SSL", "Connect", "Timeout")):
        return (
            f"the hub {host} cannot be reached ({_short(text)}); check that it runs, its name, "
            "and the network"
        )
    return f"the hub {host} did not do it ({_short(text)}); check what was asked for"


def _advice(status: int) -> str:
    return {
        401: "take a connection string, or an identity, that may do this",
        403: "a quota is spent, or something is disabled or full",
        404: "check the name, and that the device is online for a method",
        409: "it exists already, or something else uses it",
        412: "it has changed meanwhile; try again",
        429: "the hub is throttling; wait a minute and try again",
        504: "the device did not answer in time; try again, or with a longer --timeout",
    }.get(status, "check what was asked for")


def _body_of(response: Any) -> str:
    """The service's own words, in whichever of their three shapes."""
    try:
        found = json.loads(response.text() if callable(response.text) else response.text)
        if isinstance(found.get("error"), dict):  # Digital Twins
            words = (found["error"].get(name) for name in ("code", "message"))
            message = ": ".join(str(each) for each in words if each)
        else:
            message = found.get("Message") or found.get("message") or ""
        with contextlib.suppress(ValueError, AttributeError):
            message = json.loads(message).get("message", message)
    except (ValueError, AttributeError, TypeError):
        message = ""
    return str(message or getattr(response, "reason", "") or "no reason given")


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"
