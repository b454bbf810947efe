"""The hub that makes a board's device: Azure's or the local one, and the identity it gives."""

from __future__ import annotations

import os
from pathlib import Path

from host_tools import changes, credentials, service
from host_tools.board_session import BoardFlash
from host_tools.changes import Change, ProvisionError
from host_tools.configuration import Content
from host_tools.credentials import Secret
from host_tools.hub import running

SERVICE_VARIABLE = "IOTHUB_CONNECTION_STRING"
_SIMULATED = "linux"  # MicroPython's sys.platform on a PC, which is where loopback leads


class DeviceHub:
    """A hub that makes devices; of the local one also what a board needs to find it."""

    def __init__(self, text: Secret, local: running.RunningHub | None = None) -> None:
        self.connection = service.parse_connection_string(text)
        self.local = local


def find_hub(name: str, workspace: Path) -> DeviceHub:
    """Raises CredentialError, ServerError."""
    if name == "local":
        found = running.find(workspace)
        return DeviceHub(found.service, found)
    if name != "env":
        return DeviceHub(Secret(credentials.read(name, "--hub").decode(errors="replace")))
    text = os.environ.get(SERVICE_VARIABLE)
    if not text:
        raise credentials.CredentialError(
            f"{SERVICE_VARIABLE} is not set; set it to the service connection string, or name a "
            "file of mode 0600 with --hub"
        )
    return DeviceHub(Secret(text))


def identity_on_hub(hub: DeviceHub, device_id: str, board: BoardFlash) -> Change:
    """The identity of a device that is there now, if it was not. Raises ServiceError."""
    local = hub.local
    if local is None:
        key = service.ensure_device(hub.connection, device_id)
        return changes.by_connection_string(_string(hub.connection.host, device_id, key))
    if not local.exposed and board.link.evaluate("__import__('sys').platform") != _SIMULATED:
        raise ProvisionError(
            f"the local hub is at {local.host}, which leads a board to itself; start the hub "
            "again with `thermo hub start --expose ADDRESS`"
        )
    key = service.ensure_device(hub.connection, device_id, local.ca_pem)
    text = _string(local.host, device_id, key)
    return changes.by_connection_string(text, local.ca_der, local.mqtt_port)


def _string(host: str, device_id: str, key: Secret) -> Secret:
    return Secret(f"HostName={host};DeviceId={device_id};SharedAccessKey={key.reveal()}")


def own_id(board: BoardFlash, existing: Content | None) -> str:
    """The id that the board has on its present hub, else one of its own for good."""
    for part in (existing or {}).get("connection_string", "").split(";"):
        if part.startswith("DeviceId="):
            return str(part.removeprefix("DeviceId="))
    unique = board.link.evaluate("__import__('machine').unique_id()")
    return f"thermostat-{bytes(unique).hex()}"
