"""Which hub makes a board's device, and the identity that the board gets from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doubles.keys import KEY

from host_tools import device_hub, service
from host_tools.changes import ProvisionError
from host_tools.credentials import CredentialError, Secret
from host_tools.device_hub import DeviceHub, find_hub, identity_on_hub, own_id

SERVICE = f"HostName=hub.example.net;SharedAccessKeyName=owner;SharedAccessKey={KEY}"


class FakeBoard:
    """Says what it runs on, and its chip's number."""

    def __init__(self, platform: str = "rp2") -> None:
        self.link = self
        self._platform = platform

    def evaluate(self, expression: str) -> Any:
        return b"\xe6\x61\x01" if "unique_id" in expression else self._platform


def local_hub(tmp_path: Path, exposed: bool) -> Any:
    der = tmp_path / "ca.der"
    der.write_bytes(b"a certificate")
    return SimpleNamespace(
        exposed=exposed, host="10.0.0.9", ca_pem=tmp_path, ca_der=b"a certificate", mqtt_port=18883
    )


def test_env_is_the_variable_and_says_what_to_do_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", SERVICE)
    assert find_hub("env", tmp_path).connection.host == "hub.example.net"
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", "")
    with pytest.raises(CredentialError, match=r"IOTHUB_CONNECTION_STRING is not set; .*--hub"):
        find_hub("env", tmp_path)


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "hub.txt"
    path.touch(0o600)
    path.write_text(SERVICE + "\n")
    found = find_hub(str(path), tmp_path)
    assert (found.connection.policy, found.local) == ("owner", None)
    path.chmod(0o644)
    with pytest.raises(CredentialError) as caught:
        find_hub(str(path), tmp_path)
    assert KEY not in str(caught.value)


def test_local_is_what_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = SimpleNamespace(service=Secret(SERVICE))
    monkeypatch.setattr(device_hub.running, "find", lambda _: running)
    assert find_hub("local", tmp_path).local is running


def test_the_identity_on_azure_is_the_devices_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        service, "ensure_device", lambda _, name, *ca: asked.append((name, *ca)) or Secret(KEY)
    )
    board: Any = FakeBoard()
    change = identity_on_hub(DeviceHub(Secret(SERVICE)), "stove", board)
    assert asked == [("stove",)]
    assert change.members["connection_string"] == (
        f"HostName=hub.example.net;DeviceId=stove;SharedAccessKey={KEY}"
    )


def test_a_hub_on_loopback_is_for_simulated_boards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(service, "ensure_device", lambda *_: made.append(1) or Secret(KEY))
    hub = DeviceHub(Secret(SERVICE), local_hub(tmp_path, exposed=False))
    real: Any = FakeBoard()
    with pytest.raises(ProvisionError, match="thermo hub start --expose ADDRESS"):
        identity_on_hub(hub, "stove", real)
    assert not made


def test_the_id_is_that_on_the_present_hub_or_the_chips() -> None:
    board: Any = FakeBoard()
    assert own_id(board, {"connection_string": "HostName=h;DeviceId=stove"}) == "stove"
    assert own_id(board, {"connection_string": "HostName=h"}) == "thermostat-e66101"
    assert own_id(board, None) == "thermostat-e66101"
