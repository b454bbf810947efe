"""`thermo provision` on a board: what it writes, what nobody sees, and cables pulled anywhere."""

import asyncio
import json
import secrets
import subprocess

import pytest
from board_setup import SOON_UP, ProcessList, fresh_key, installed_board, lines_of, stored
from doubles.device_certificates import certificate, new_key, private
from pseudo_board import PseudoBoard
from terminal import Terminal, environment, thermo
from whole import own_address, until

from host_tools import cli, configuration
from host_tools.credentials import Secret, device_key
from host_tools.hub import running
from host_tools.hub.server import HubServer, Ports


def run(*arguments, given=None, folder=None, **variables):
    return subprocess.run(
        thermo(*arguments),
        input=given,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=90,
    )


def private_file(path, content):
    path.write_text(content)
    path.chmod(0o600)
    return path


def test_no_secret_is_seen_anywhere(tmp_path):
    """Canaries in all that is told to a board which runs the whole firmware, before and after."""
    wifi, key, group = f"wifi-{secrets.token_hex(8)}", fresh_key(), fresh_key()
    network = {"ssid": "home", "password": wifi}
    by_key = {
        "wifi": network,
        "connection_string": f"HostName=localhost;DeviceId=d;SharedAccessKey={key}",
    }
    by_group = {
        "wifi": network,
        "provisioning": {"id_scope": "0ne", "registration_id": "r", "group_key": group},
    }
    derived = device_key(Secret(group), "r").reveal()
    files = {"/config.json": json.dumps({"version": 1, **SOON_UP}).encode()}
    with installed_board(tmp_path / "board", files) as board:
        board.wait_for("up a")
        with ProcessList() as processes:
            start = len(board.transcript)
            first = run("provision", "--port", board.port, "--from", "-", given=json.dumps(by_key))
            start = board.wait_for("up a", start=start)
            said = lines_of(board)
            source = private_file(tmp_path / "dps.json", json.dumps(by_group))
            second = run("provision", "--port", board.port, "--from", source)
            board.wait_for("up a", start=start)
            start = len(board.transcript)
            third = run("doctor", "--port", board.port)
            board.wait_for("up a", start=start)
        content, _ = stored(board)
        crash = board.files().get("/crash.txt", b"").decode()
    assert content["provisioning"]["key"] == derived
    assert content["wifi"] == network
    assert "connection_string" not in content
    shown = [process.stdout + process.stderr for process in (first, second, third)]
    assert (first.returncode, second.returncode) == (0, 0)
    for canary in (wifi, key, group, derived):
        assert not processes.has(canary)
        assert not [text for text in [*shown, crash] if canary in text]
        # What a board says before it is asked to read its configuration back
        assert canary not in said
    image = (tmp_path / "board" / "flash").read_bytes()
    assert wifi.encode() in image
    assert group.encode() not in image
    assert not board.hard_resets or set(board.hard_resets) == {"software"}


def test_asking_at_a_terminal_shows_no_secret(tmp_path):
    wifi, key = f"wifi-{secrets.token_hex(8)}", fresh_key()
    string = f"HostName=hub.example;DeviceId=stove;SharedAccessKey={key}"
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        with Terminal(thermo("provision", "--port", board.port), tmp_path) as person:
            person.wait_for("Wi-Fi name")
            person.type("home\n")
            person.wait_for("password, empty if it is open (not shown): ")
            person.type(wifi + "\n")
            person.wait_for("keep what it has (not shown): ")
            person.type(string + "\n")
            assert person.end() == 0
            shown = person.shown
        content, _ = stored(board)
    assert content["wifi"] == {"ssid": "home", "password": wifi}
    assert content["connection_string"] == string
    assert "connection_string: HostName=hub.example, DeviceId=stove" in shown
    assert wifi not in shown
    assert key not in shown
    assert key not in lines_of(board)


def test_asked_for_the_key_of_a_group_it_gives_the_board_a_key_of_its_own(tmp_path):
    group = fresh_key()
    command = ["provision", "--id-scope", "0ne", "--registration-id", "stove", "--port"]
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        with Terminal(thermo(*command, board.port), tmp_path) as person:
            person.wait_for("enrollment group")
            person.wait_for("(not shown): ")
            person.type(group + "\n")
            assert person.end() == 0
            assert group not in person.shown
        content, _ = stored(board)
        assert group not in lines_of(board)
    assert content["provisioning"] == {
        "host": "global.azure-devices-provisioning.net",
        "id_scope": "0ne",
        "registration_id": "stove",
        "key": device_key(Secret(group), "stove").reveal(),
    }
    assert group.encode() not in (tmp_path / "board" / "flash").read_bytes()


def test_mistakes_leave_the_board_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", "")
    key = fresh_key()
    string = f"HostName=h;DeviceId=d;SharedAccessKey={key}"
    shared = private_file(tmp_path / "shared", string)
    shared.chmod(0o644)
    bad = private_file(tmp_path / "bad", string[:-2])
    good = private_file(tmp_path / "good", string)
    of_service = string.replace("DeviceId=d", "SharedAccessKeyName=o")
    service = private_file(tmp_path / "service", of_service)
    dps = ["--id-scope", "0ne", "--registration-id", "stove"]
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        for arguments, text in (
            (["--from", shared], "chmod 600"),
            (["--from", bad], "SharedAccessKey is not base64"),
            (["--from", service], "a service's connection string"),
            (["--from", string], "--from holds a secret"),
            (["--device-id", string], "--device-id holds a secret"),
            (["--hub", "local", "--workspace", tmp_path / "none"], "no hub runs"),
            (["--hub", good], "a device's connection string"),
            (["--hub", "env"], "IOTHUB_CONNECTION_STRING is not set"),
            (["--hub", "-", "--from", "-"], "read once"),
            ([], "nothing to tell"),
            (["--certificate", "x"], "belong together"),
            (["--id-scope", "x"], "belong together"),
            ([*dps, "--certificate", "x"], "belong together"),
            ([*dps, "--host-name", "h"], "leave --host-name away"),
            (["--from", good, "--port", tmp_path / "none"], "there is no"),
        ):
            command = ["provision", "--port", board.port, *arguments]
            assert cli.main([str(word) for word in command]) == 1
            out, err = capsys.readouterr()
            assert text in err
            assert err.startswith("thermo: ")
            assert err.count("\n") == 1
            assert key not in out + err
        assert board.files() == {}


@pytest.mark.parametrize("fault", ["cut", "power_off"])
def test_pulled_at_every_512_bytes_it_is_the_old_or_the_new_and_a_rerun_succeeds(
    tmp_path, monkeypatch, capsys, fault
):
    old, new = [], []
    keys = [new_key(), new_key()]
    for number, key in enumerate(keys):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "stove.pem").write_bytes(certificate(key, "stove"))
        private_file(folder / "stove.key", private(key).decode())
        content = {"certificate": "stove.pem", "private_key": "stove.key"}
        content["connection_string"] = f"HostName=hub{number}.example;DeviceId=stove;x509=true"
        private_file(folder / "all.json", json.dumps(content))

    def provision(board, number):
        arguments = ["provision", "--port", board.port, "--from"]
        return cli.main([*arguments, str(tmp_path / str(number) / "all.json")])

    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        assert provision(board, 1) == 0
        new = stored(board)
        begin = board.host_bytes
        assert provision(board, 0) == 0
        total = board.host_bytes - begin
        old = stored(board)
        board.power_off()
        before = board.flash.read_bytes()
        outcomes = []
        for place in range(0, total, 512):
            board.flash_image(before)
            board.power_on()
            board.after(max(1, place), fault)
            code = provision(board, 1)
            assert not board.fault_is_due
            found = stored(board)
            assert found in (old, new)
            outcomes.append(found == new)
            if fault == "power_off":
                assert code == 1 or found == new
                board.power_on()
            else:
                board.plug_in()
            assert provision(board, 1) == 0
            assert stored(board) == new
            board.power_off()
    assert len(outcomes) > 5
    assert outcomes[0] is False
    assert outcomes == sorted(outcomes)
    assert "Traceback" not in capsys.readouterr().err


def test_a_board_provisioned_with_the_local_hub_connects_over_tls_and_answers(tmp_path):
    async def scenario():
        server = HubServer(tmp_path / "w", host=own_address(), ports=Ports(0, 0, 0))
        async with server:
            with running.announced(server), installed_board(tmp_path / "board") as board:
                board.wait_for("up a")
                done = await asyncio.to_thread(
                    run,
                    "provision",
                    "--port",
                    board.port,
                    "--hub",
                    "local",
                    "--workspace",
                    tmp_path / "w",
                    "--device-id",
                    "stove",
                )
                assert done.returncode == 0, done.stderr
                connections = server.hub.connections
                await until(lambda: connections.count() == 1, 60, lambda: lines_of(board)[-3000:])
                parts = (0, 1)
                telemetry = server.hub.telemetry
                # A report can be asked for once a temperature is known
                await until(lambda: any(telemetry.last_sequence_number(n) >= 0 for n in parts), 30)
                since = "2020-01-01T00:00:00Z"
                command = "thermostat1*getMaxMinReport"
                status, report = await server.hub.methods.invoke("stove", command, since, 30, 30)
                assert status == 200, (report, lines_of(board)[-1500:])
                assert report["minTemp"] <= report["maxTemp"]
                key = server.hub.registry.key_texts("stove")[0]
                again = await asyncio.to_thread(
                    run,
                    "provision",
                    "--port",
                    board.port,
                    "--hub",
                    "-",
                    "--device-id",
                    "stove",
                    given=server.service_connection_string(),
                    SSL_CERT_FILE=str(server.certificates.ca_pem),
                )
                content, files = stored(board)
                assert content["connection_string"].endswith(f";SharedAccessKey={key}")
                assert list(files.values()) == [server.certificates.ca_der.read_bytes()]
                assert content["connection"]["port"] == server.port("MQTT")
                assert key not in done.stdout + done.stderr + again.stdout + again.stderr
                return again

    again = asyncio.run(scenario())
    # The public authorities alone do not vouch for the local hub, whatever the environment says
    assert again.returncode == 1
    assert "its certificate is not trusted" in again.stderr


def test_what_the_board_has_stays_unless_it_is_to_go(tmp_path):
    zones = [{"name": "thermostat1", "sensor": "sht4x", "relay": 0}]
    key = fresh_key()
    string = f"HostName=h;DeviceId=d;SharedAccessKey={key}"
    content = configuration.encoded({"version": 1, "zones": zones, "connection_string": string})
    source = private_file(tmp_path / "wifi", json.dumps({"wifi": {"ssid": "home"}}))
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        board.power_off()
        board.write("/config.json", content)
        board.power_on()
        assert run("provision", "--port", board.port, "--from", source).returncode == 0
        assert stored(board)[0] == {
            "version": 1,
            "zones": zones,
            "connection_string": string,
            "wifi": {"ssid": "home"},
        }
        board.power_off()
        board.write("/config.json", content[:40])
        board.power_on()
        refused = run("provision", "--port", board.port, "--from", source)
        assert refused.returncode == 1
        assert "leave it behind with --fresh" in refused.stderr
        assert run("provision", "--port", board.port, "--from", source, "--fresh").returncode == 0
        assert stored(board)[0] == {"version": 1, "wifi": {"ssid": "home"}}


def test_backup_and_restore(tmp_path):
    key = new_key()
    (tmp_path / "stove.pem").write_bytes(certificate(key, "stove"))
    private_file(tmp_path / "stove.key", private(key).decode())
    content = {"certificate": "stove.pem", "private_key": "stove.key"}
    content["connection_string"] = "HostName=hub.example;DeviceId=stove;x509=true"
    source = private_file(tmp_path / "all.json", json.dumps(content))
    points = {"version": 1, "targets": {"thermostat1": 1950}}

    def copy(verb, board, *options, file="kept.json"):
        return run(verb, file, "--port", board.port, *options, folder=tmp_path)

    with PseudoBoard(tmp_path / "one", has_house=False) as one:
        one.power_off()
        one.write("/setpoints.json", json.dumps(points).encode())
        one.power_on()
        assert run("provision", "--port", one.port, "--from", source).returncode == 0
        done = copy("backup", one)
        assert (done.returncode, done.stdout) == (0, "")
        assert (tmp_path / "kept.json").stat().st_mode & 0o777 == 0o600
        again = copy("backup", one)
        assert again.returncode == 1
        assert "exists" in again.stderr
        assert copy("backup", one, "--force").returncode == 0
        expected = stored(one)
    with PseudoBoard(tmp_path / "two", has_house=False) as two:
        assert copy("restore", two).returncode == 0
        assert stored(two) == expected
        assert json.loads(two.files()["/setpoints.json"]) == points
        refused = copy("restore", two)
        assert refused.returncode == 1
        assert "--force" in refused.stderr
        assert copy("restore", two, "--force").returncode == 0
        assert stored(two) == expected
        text = (tmp_path / "kept.json").read_text()
        private_file(tmp_path / "bad.json", text.replace("hub.example", "hub.elsewhere"))
        before = two.files()
        damaged = copy("restore", two, "--force", file="bad.json")
        assert damaged.returncode == 1
        assert "checksum" in damaged.stderr
        assert two.files() == before
