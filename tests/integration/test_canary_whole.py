"""A hub, a thermostat and every verb that operates it: their secrets are on no surface.

The secrets are known beforehand, or read from where they belong. Then all is looked through that
people or other programs get to see.
"""

import asyncio
import contextlib
import json
import re
import secrets
import sys
from pathlib import Path

import pytest
from board_setup import ProcessList, fresh_key
from terminal import environment
from whole import PACE, House, own_address

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("cloud_driver.py")
DEVICE = "kitchen"
pytestmark = pytest.mark.timeout(300)
SURFACES = (
    "arguments of all processes",
    "the hub's log",
    "the thermostat's log at its finest",
    "the thermostat's other files",
    "what its files are called",
    "thermo device",
    "thermo twin",
    "thermo call",
    "thermo send",
    "thermo events",
    "thermo query",
    "thermo certify",
    "thermo dps",
    "thermo with a key that is none",
    "files that others may read",
)


@contextlib.asynccontextmanager
async def verbs(folder, seen):
    """Gives verb(surface, *arguments), which runs `thermo` and keeps what it says there."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, DRIVER),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )

    async def verb(surface, *arguments, hub="local"):
        command = [*arguments, "--hub", hub, "--workspace", folder / "hub"]
        process.stdin.write(json.dumps([str(each) for each in command]).encode() + b"\n")
        found = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        seen[surface] += found["out"] + found["err"]
        return found["out"]

    try:
        yield verb
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def hub_with_a_log(folder, host):
    """`hub start`, its log in a file."""
    log = folder / "hub.log"
    log.touch(0o600)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "host_tools.cli", "hub", "start", "--host", host),
            *("--state", folder / "state", "--workspace", folder / "hub"),
            env=environment(),
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(30):
            while "Ready." not in log.read_text():
                await asyncio.sleep(0.1)
        yield log
    finally:
        process.terminate()
        await process.wait()


async def live(folder):
    """{surface: its text}, "" for what was asked for; and secrets that were told to somebody."""
    host, wifi, wrong = own_address(), f"wifi-{secrets.token_hex(8)}", fresh_key()
    seen = dict.fromkeys(("", *SURFACES), "")

    with ProcessList() as processes:
        async with hub_with_a_log(folder, host) as log, verbs(folder, seen) as verb:
            await verb("thermo device", "device", "create", DEVICE)
            shown = await verb("", "device", "show", DEVICE, "--show-keys")
            (text,) = re.findall(r"HostName=\S+;DeviceId=\S+;SharedAccessKey=\S+", shown)
            members = {**PACE, "log_level": "debug", "wifi": {"ssid": "home", "password": wifi}}
            house = House(folder / "house", (text, folder / "hub" / "ca.der", members))
            async with house:
                await house.device.wait_online()
                await operate(verb)
                await mistake(verb, folder / "mistaken", host, wrong)
            # Behind what it tells the one who starts it: the service's connection string
            seen["the hub's log"] = log.read_text().partition("Ready.")[2]
    seen["the thermostat's log at its finest"] = house.console()
    seen["the thermostat's other files"] = contents(folder / "house", without="config.json*")
    seen["what its files are called"] = "\n".join(map(str, folder.rglob("*")))
    seen["files that others may read"] = contents(folder, readable=True)
    seen["arguments of all processes"] = b"\n".join(processes.commands).decode(errors="replace")
    return seen, {
        "wifi": wifi,
        "a wrong key": wrong,
        "device": text.partition("SharedAccessKey=")[2],
    }


async def mistake(verb, path, host, wrong):
    """Connection strings that are refused: by the hub, and before that."""
    path.touch(0o600)
    for name in ("SharedAccessKeyName=iothubowner;", "SharedAccesKeyName=x;", ""):
        path.write_text(f"HostName={host}:8443;{name}SharedAccessKey={wrong}")
        await verb("thermo with a key that is none", "device", "list", hub=path)
    path.unlink()


async def operate(verb):
    """Every verb that a day with a device takes."""
    target = "thermostat1.targetTemperature=23"
    await verb("thermo twin", "twin", "set", DEVICE, target, "--wait", "10")
    await verb("thermo twin", "twin", "show", DEVICE, "--json")
    since = "2026-01-01T00:00:00Z"
    await verb("thermo call", "call", DEVICE, "thermostat1*getMaxMinReport", since)
    await verb("thermo call", "call", DEVICE, "noSuchCommand")
    await verb("thermo send", "send", DEVICE, "hello", "--ack", "full")
    first = ("--since", "start", "--count", "8", "--seconds", "20")
    await verb("thermo events", "events", *first, "--json")
    await verb("thermo query", "query", "SELECT * FROM devices", "--json")
    await verb("thermo certify", "certify", DEVICE, "--telemetry", "3", "--no-reconnect")
    await verb("thermo device", "device", "list", "--json")
    await verb("thermo device", "device", "show", DEVICE, "--json")
    await verb("thermo dps", "dps", "create", "bedroom")
    await verb("thermo dps", "dps", "create", "rooms", "--group")
    for name in ("list", "show"):
        await verb("thermo dps", "dps", name, *(["bedroom"] if name == "show" else []), "--json")


def contents(folder, without=None, readable=False):
    """All files in `folder`; with `readable` those that their owner does not keep to himself."""
    found = []
    for path in sorted(folder.rglob("*")):
        is_wanted = path.is_file() and not (without and path.match(without))
        if is_wanted and (not readable or path.stat().st_mode & 0o077):
            found.append(path.read_bytes().decode("latin-1"))
    return "\n".join(found)


def kept(folder):
    """Every secret that hub and thermostat keep: keys of 32 bytes, and lines of private keys."""
    state = b"".join(path.read_bytes() for path in sorted(folder.glob("state*")))
    found = set(re.findall(r"[A-Za-z0-9+/]{43}=", state.decode("latin-1")))
    for path in (folder / "hub").rglob("*.pem"):
        blocks = re.findall(r"PRIVATE KEY-----\n(.*?)-----END", path.read_text(), re.DOTALL)
        found |= {line for block in blocks for line in block.split() if len(line) > 20}
    return found


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("canary")
    seen, given = asyncio.run(live(folder))
    assert set(seen) - {""} == set(SURFACES)
    return seen, set(given.values()) | kept(folder), folder


def test_there_are_secrets_and_they_are_where_they_belong(lived):
    seen, known, folder = lived
    # Of the device two, of each policy two, of the enrolments two each, and more
    assert len(known) > 16
    config = (folder / "house" / "config.json").read_text()
    assert len([each for each in known if each in config]) == 2
    assert [each for each in known if each in seen[""]], "what was asked for with --show-keys"


@pytest.mark.parametrize("surface", SURFACES)
def test_no_secret_is_on(lived, surface):
    seen, known, _ = lived
    text = seen[surface]
    assert text, "nothing was seen, so nothing was shown"
    for number, secret in enumerate(sorted(known)):
        assert secret not in text, f"secret {number} of {len(known)}"
    assert not re.search(r"sig=[A-Za-z0-9%+/]{20}", text), "a token"
