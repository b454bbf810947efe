"""The launcher: addresses, environment, trust, and a device that comes with the hub."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import certifi
import pytest

from host_tools.hub import child, launcher
from host_tools.hub.launcher import exec_command, parse_thermostat
from host_tools.hub.server_error import ServerError
from host_tools.hub.trust import BUNDLE_VARIABLES, build_bundle, trust_environment

PEM = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t1", ("t1", "TemperatureController")),
        ("t1:Thermostat", ("t1", "Thermostat")),
        ("t1:HeatingController", ("t1", "HeatingController")),
        ("t1:TemperatureController", ("t1", "TemperatureController")),
    ],
)
def test_a_thermostat_has_a_model(text, expected):
    assert parse_thermostat(text) == expected


@pytest.mark.parametrize("text", ["", ":Thermostat", "t1:", "t1:thermostat", "t1:a:b"])
def test_a_thermostat_that_is_not_understood(text):
    with pytest.raises(ServerError, match="ID:Thermostat"):
        parse_thermostat(text)


# Trust


def test_the_bundle_holds_what_was_trusted_before_each_once(tmp_path):
    ca, one, folder = tmp_path / "ca.pem", tmp_path / "one.pem", tmp_path / "folder"
    folder.mkdir()
    ca.write_bytes(PEM % b"aG9t")
    one.write_bytes(b"# a comment\n" + PEM % b"b25l" + b"\n" + PEM % b"b25l")
    (folder / "a.crt").write_bytes(PEM % b"dHdv")
    (folder / "rubbish").write_bytes(b"\xff\xfe")
    (folder / "sub").mkdir()
    environment = {
        "SSL_CERT_FILE": str(one),
        "REQUESTS_CA_BUNDLE": str(folder),
        "CURL_CA_BUNDLE": str(tmp_path / "absent"),
        "NODE_EXTRA_CA_CERTS": "",
    }
    bundle = build_bundle(ca, environment)
    for name in (b"aG9t", b"b25l", b"dHdv"):
        assert bundle.count(PEM % name) == 1
    public = Path(certifi.where()).read_bytes()
    assert bundle.count(b"BEGIN CERTIFICATE") >= public.count(b"BEGIN CERTIFICATE") + 3


def run_python(environment, code):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.strip()


def shim(tmp_path, environment):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(PEM % b"aG9t")
    return trust_environment(tmp_path, ca, environment)


def test_variables_are_overwritten_and_certifi_names_the_bundle(tmp_path):
    variables = shim(tmp_path, {"SSL_CERT_FILE": "/elsewhere"})
    bundle = str(tmp_path / "trusted.pem")
    assert {variables[name] for name in BUNDLE_VARIABLES} == {bundle}
    assert variables["PYTHONPATH"] == str(tmp_path / "python")
    code = "import certifi, requests.certs; print(certifi.where(), requests.certs.where())"
    assert run_python(variables, code) == f"{bundle} {bundle}"


def test_a_projects_own_sitecustomize_is_loaded_and_the_shim_steps_aside(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import builtins\nbuiltins.own = __file__\n")
    variables = shim(tmp_path, {"PYTHONPATH": str(own)})
    assert variables["PYTHONPATH"] == os.pathsep.join([str(tmp_path / "python"), str(own)])
    code = "import sys, sitecustomize as s; print(own == s.__file__, any('/python' == p[-7:] \
        for p in sys.path))"
    assert run_python(variables, code) == "True False"


def test_a_python_without_certifi_is_left_alone(tmp_path):
    variables = shim(tmp_path, {})
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import sitecustomize; print('fine')"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


# The device


class FakeDevice:
    def __init__(self, fails_at=None):
        self.calls = []
        self.fails_at = fails_at

    def __call__(self, server, order):
        assert server.hub.registry.exists(order.device_id)
        assert order.ca_der.read_bytes()[:1] == b"\x30"
        assert os.listdir(order.folder) == []
        self.order, self.twins = order, server.hub.twins
        return self

    async def _do(self, name):
        self.calls.append(name)
        if self.fails_at == name:
            raise ServerError("the firmware ended; look at its configuration")

    async def start(self):
        await self._do("start")

    async def wait_online(self):
        await self._do("wait_online")
        if self.fails_at == "never":
            await asyncio.sleep(60)
        if self.fails_at != "report":
            asyncio.get_running_loop().call_later(0.05, self.report)

    def report(self):
        self.calls.append("report")
        self.twins.update_reported(self.order.device_id, {"serialNumber": "1"})

    async def stop(self):
        await self._do("stop")


def write_environment(path):
    code = f"import os, json; json.dump(dict(os.environ), open({str(path)!r}, 'w'))"
    return [sys.executable, "-c", code]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A place for temporary folders that must be empty afterwards."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(launcher.tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_the_device_is_online_before_the_command_and_stopped_after(temporary, tmp_path):
    device = FakeDevice()
    assert exec_command([sys.executable, "-c", "exit(3)"], "t1:Thermostat", None, device) == 3
    assert device.calls == ["start", "wait_online", "report", "stop"]
    assert (device.order.device_id, device.order.model) == ("t1", "Thermostat")
    assert "DeviceId=t1;" in device.order.connection_string


@pytest.mark.parametrize("fails_at", ["start", "wait_online"])
def test_a_device_that_fails_is_stopped_and_the_command_not_run(temporary, fails_at):
    device = FakeDevice(fails_at)
    with pytest.raises(ServerError, match="the firmware ended"):
        exec_command(["false"], "t1", None, device)
    assert device.calls[-1] == "stop"


@pytest.mark.parametrize("fails_at", ["never", "report"])
def test_the_wait_for_the_device_is_bounded(temporary, monkeypatch, fails_at):
    monkeypatch.setattr(launcher, "ONLINE_S", 0.05)
    device = FakeDevice(fails_at)
    with pytest.raises(ServerError, match="t1 was not online within"):
        exec_command(["false"], "t1", None, device)
    assert device.calls == ["start", "wait_online", "stop"]


def test_without_firmware_it_says_so(temporary):
    with pytest.raises(ServerError, match="no firmware"):
        exec_command(["true"], "t1")


# Environment and addresses


def read_environment(tmp_path, *arguments):
    path = tmp_path / "environment.json"
    assert exec_command(write_environment(path), *arguments) == 0
    return json.loads(path.read_text())


def test_the_environment_under_the_names_of_the_samples(temporary, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "example.com")
    found = read_environment(tmp_path, "t1", None, FakeDevice())
    assert found["IOTHUB_DEVICE_ID"] == "t1"
    assert found["IOTHUB_DEVICE_SECURITY_TYPE"] == "connectionString"
    assert "DeviceId=exec-device;" in found["IOTHUB_DEVICE_CONNECTION_STRING"]
    assert "SharedAccessKeyName=iothubowner;" in found["IOTHUB_CONNECTION_STRING"]
    assert found["NO_PROXY"].startswith("example.com,localhost,127.0.0.")
    assert found["no_proxy"] == found["NO_PROXY"]


def test_without_a_thermostat_the_device_is_the_commands_own(temporary, tmp_path):
    found = read_environment(tmp_path)
    assert f"DeviceId={found['IOTHUB_DEVICE_ID']};" in found["IOTHUB_DEVICE_CONNECTION_STRING"]


def test_the_commands_device_is_fresh_on_an_old_state_too(temporary, tmp_path):
    state = tmp_path / "hub.sqlite"
    first = read_environment(tmp_path, None, state)
    second = read_environment(tmp_path, None, state)
    assert first["IOTHUB_DEVICE_ID"] == second["IOTHUB_DEVICE_ID"]
    assert first["IOTHUB_CONNECTION_STRING"] == second["IOTHUB_CONNECTION_STRING"]
    key = "IOTHUB_DEVICE_CONNECTION_STRING"
    assert first[key] != second[key]


def test_a_thermostat_named_as_the_commands_device(temporary, tmp_path):
    found = read_environment(tmp_path, "exec-device", None, FakeDevice())
    assert "DeviceId=exec-device-2;" in found["IOTHUB_DEVICE_CONNECTION_STRING"]


def host_of(found):
    return found["IOTHUB_DEVICE_CONNECTION_STRING"].split(";")[0]


@pytest.mark.parametrize("port", [8883, 5671])
def test_an_address_with_a_port_taken_is_passed_over(temporary, tmp_path, port):
    with first_free(port) as taken:
        found = host_of(read_environment(tmp_path))
    assert found.startswith("HostName=")
    assert found != "HostName=" + ("localhost" if taken == "127.0.0.1" else taken)


@contextlib.contextmanager
def first_free(port):
    """Hold the port on the first address where nobody has it, which `serving` would choose."""
    for number in range(1, launcher.MAX_ADDRESSES):
        host = f"127.0.0.{number}"
        with contextlib.suppress(OSError), socket.create_server((host, port)):
            yield host
            return


def test_where_443_is_privileged_the_service_string_has_a_port(temporary, tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "_can_bind", lambda host, port: False)
    found = read_environment(tmp_path)
    assert host_of(found) + ":8443;" in found["IOTHUB_CONNECTION_STRING"]


def test_without_a_free_address_it_says_what_to_do(temporary, monkeypatch):
    monkeypatch.setattr(launcher, "MAX_ADDRESSES", 0)
    with pytest.raises(ServerError, match="listens on all addresses"):
        exec_command(["true"])


# Exit codes


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["no-such-command"], child.NOT_FOUND),
        (["/etc/passwd"], child.NOT_EXECUTABLE),
    ],
)
def test_exit_codes_are_a_shells(temporary, command, code, capfd):
    assert exec_command(command) == code
    assert "Traceback" not in capfd.readouterr().err
