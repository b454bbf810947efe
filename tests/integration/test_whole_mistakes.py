"""What a user can get wrong: a clear line that says what to do, and heated rooms all the same."""

import asyncio
import base64
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from whole import (
    DEVICE,
    PACE,
    House,
    cold_house,
    hub_server,
    own_address,
    zones,
)

pytestmark = pytest.mark.timeout(60)


def test_a_wrong_key_is_told_and_the_rooms_are_heated(tmp_path):
    async def scenario():
        async with hub_server(tmp_path, own_address()) as server:
            server.ensure_device(DEVICE)
            text = server.device_connection_string(DEVICE)
            wrong = text.partition("SharedAccessKey=")[0] + "SharedAccessKey="
            wrong += base64.b64encode(bytes(32)).decode()
            settings = {**PACE, "zones": zones(24.0), "connection": {}}
            house = House(tmp_path / "house", (wrong, server.certificates.ca_der, settings))
            async with house:
                line = await house.line("refused")
                await house.heats()
            assert "ERROR iothub" in line
            assert "SharedAccessKey" in line
            assert int(line.split("next try in ")[1].split()[0]) >= 150
            assert "AAAA" not in house.console()
            assert len(house.found("iothub: ")) == 2, house.console()

    asyncio.run(scenario())


GOOD = (
    '{"version": 1, "connection_string": "HostName=127.0.0.1;DeviceId=d;SharedAccessKey='
    + 43 * "A"
    + '="'
)
BROKEN = {
    "no JSON": ("{version: 1}", ["is not JSON"]),
    "an unknown member": (GOOD + ', "zonse": []}', ["zonse", "zones"]),
    "no device id": (GOOD.replace("DeviceId=d;", "") + "}", ["connection_string", "DeviceId"]),
    "a damaged seal": ('{"seal":"0123456789abcdef",' + GOOD[1:] + "}", ["seal", "delete"]),
    "an unknown model": (
        GOOD + ', "model": "dtmi:com:example:Kettle;1"}',
        ["model", "Kettle", "dtmi:com:example:TemperatureController;1"],
    ),
    "a missing root": (
        GOOD + ', "root_certificates": ["my-ca.der"]}',
        ["root_certificates", "my-ca.der"],
    ),
    "a root that is none": (
        GOOD + ', "root_certificates": ["config.json"]}',
        ["root_certificates", "DER"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_is_told_and_the_rooms_are_heated(tmp_path, name):
    text, expected = BROKEN[name]
    cold_house(tmp_path)
    (tmp_path / "config.json").write_text(text)

    async def scenario():
        async with House(tmp_path) as house:
            await house.heats()
        return house

    house = asyncio.run(scenario())
    told = house.found("ERROR")
    assert len(told) == 2, house.console()
    for part in ["config.json", *expected]:
        assert part in told[0]
    assert "; " in told[0]
    assert not told[0].endswith("..."), "it is cut off"
    assert len(house.found("WARNING")) == 0
