"""How a hub that runs is found by the other tools: a file in its workspace, there while it runs.

It holds the service's key, and so has mode 0600, as has everything in the workspace.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from host_tools.credentials import CredentialError, Secret, read_file
from host_tools.hub.certificates import write_private
from host_tools.hub.server_error import ServerError

if TYPE_CHECKING:  # who looks for a hub that runs need not load one
    from host_tools.hub.server import HubServer

FILE = "running.json"


@dataclass(frozen=True)
class RunningHub:
    """`host` and `mqtt_port` are for devices; `exposed`: whether other machines reach them.
    `events` and `provisioning`: connection strings of these endpoints. `twins` is the URL of
    Digital Twins; `identity_url` gives tokens for it to who knows `identity`."""

    service: Secret
    events: Secret
    provisioning: Secret
    identity: Secret
    identity_url: str
    twins: str
    host: str
    mqtt_port: int
    exposed: bool
    ca_pem: Path
    ca_der: bytes = field(repr=False)


@contextlib.contextmanager
def announced(server: HubServer) -> Iterator[None]:
    """While this lasts, `find` finds the running `server`."""
    path = server.certificates.workspace / FILE
    content = json.dumps(
        {
            "service": server.service_connection_string(),
            "events": server.event_hub_connection_string(),
            "provisioning": server.provisioning_connection_string(),
            "identity": server.hub.entra.secret,
            "identity_url": server.identity_endpoint,
            "twins": server.digital_twins_url,
            "host": server.device_host,
            "mqtt_port": server.port("MQTT"),
            "exposed": server.exposed is not None,
        }
    ).encode()
    write_private(path, content)
    try:
        yield
    finally:
        # Another hub of the same workspace may have started since
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == content:
                path.unlink()


def find(workspace: Path) -> RunningHub:
    """The hub that was started last in this workspace. Raises ServerError, CredentialError."""
    path = workspace / FILE
    if not path.exists():
        raise ServerError(
            f"no hub runs in the workspace {workspace}; start one in another terminal, with "
            "`thermo hub start --expose ADDRESS` if a board in your network shall reach it"
        )
    try:
        found = json.loads(read_file(path))
        return RunningHub(
            Secret(found["service"]),
            Secret(found["events"]),
            Secret(found["provisioning"]),
            Secret(found["identity"]),
            str(found["identity_url"]),
            str(found["twins"]),
            str(found["host"]),
            int(found["mqtt_port"]),
            bool(found["exposed"]),
            workspace / "ca.pem",
            (workspace / "ca.der").read_bytes(),
        )
    except (ValueError, KeyError, TypeError):
        raise CredentialError(f"{path} is damaged; start the hub again") from None
