"""The whole firmware among name servers, time servers and sensors other than the usual."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from doubles.keys import KEY
from whole import own_address, until

from host_tools.simulated_device import parts
from host_tools.simulation import Thermostat

NAME = b"\x03hub\x07example\x00\x00\x01\x00\x01"
CONNECTION = "HostName=hub.example;DeviceId=stove-1;SharedAccessKey=" + KEY
PACE = {"control": {"sample_period_ms": 1000, "minimum_off_s": 0, "minimum_on_s": 0}}


class Server(asyncio.DatagramProtocol):
    """Keeps what comes, and sends back what `answer` makes of it, if anything."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.packets: list[bytes] = []
        self._answer = answer
        self.port = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, packet: bytes, source: Any) -> None:
        self.packets.append(packet)
        answer = self._answer(packet)
        if answer is not None:
            self._transport.sendto(answer, source)

    def close(self) -> None:
        self._transport.close()


async def serve(answer: Callable[[bytes], bytes | None]) -> Server:
    loop = asyncio.get_running_loop()
    endpoint = await loop.create_datagram_endpoint(lambda: Server(answer), ("127.0.0.1", 0))
    return endpoint[1]


def run(
    folder: Path,
    settings: dict[str, Any],
    name_server: Server,
    what: Callable[[list[str]], Awaitable[None]],
) -> Awaitable[list[str]]:
    """The console of the firmware with `settings`, up to the end of `what`."""

    async def live() -> list[str]:
        lines: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"version": 1, **PACE, **settings}))
        environment = {
            "THERMO_DNS": f"127.0.0.1:{name_server.port}",
            "THERMO_SPEED": "600",
        }
        async with Thermostat(parts(), folder, environment, lines.append):
            await what(lines)
        return lines

    return live()


def room(folder: Path, index: int) -> Any:
    """What is true in the room; cold and unheated before the house is there."""
    path = folder / "room.json"
    if not path.exists():
        return {"temperature_c": -99, "relay": False}
    return json.loads(path.read_text())["rooms"][index]


def test_a_name_server_that_wakes_up_leads_to_the_hub(tmp_path: Path) -> None:
    """The third question is answered; meanwhile the rooms are heated."""
    host = own_address()
    address = bytes(int(part) for part in host.split("."))

    def answer(packet: bytes) -> bytes | None:
        if len(names.packets) < 3:
            return None
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + address
        return packet[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + packet[12:] + record

    calls: list[bool] = []
    names: Server

    async def live() -> None:
        nonlocal names
        names = await serve(answer)

        def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            calls.append(True)
            writer.close()

        async with await asyncio.start_server(called, host, 8883):

            async def watch(lines: list[str]) -> None:
                data = tmp_path / "data"
                await until(
                    lambda: names.packets and room(data, 0)["relay"],
                    what=lambda: "\n".join(lines),
                )
                assert not calls
                await until(lambda: calls, what=lambda: "\n".join(lines))

            settings = {"connection_string": CONNECTION}
            await run(tmp_path / "data", settings, names, watch)
        names.close()

    asyncio.run(live())
    assert all(packet[12:] == NAME for packet in names.packets)
    assert len({packet[:2] for packet in names.packets[:3]}) == 1


def test_time_comes_from_the_servers_that_are_configured(tmp_path: Path) -> None:
    """The first refuses, the second is found by its name."""

    def refuse(packet: bytes) -> bytes:
        return b"\xe4\x00" + bytes(22) + packet[40:48] + bytes(16)

    def tell(packet: bytes) -> bytes:
        stamp = struct.pack(">II", 1795239300 + 2208988800, 0)
        return b"\x24\x02" + bytes(22) + packet[40:48] + bytes(8) + stamp

    def name(packet: bytes) -> bytes:
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"
        return packet[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + packet[12:] + record

    async def live() -> list[str]:
        bad, good, names = [await serve(answer) for answer in (refuse, tell, name)]
        servers = [f"127.0.0.1:{bad.port}", f"time.example:{good.port}"]

        async def watch(lines: list[str]) -> None:
            await until(
                lambda: any("the clock is set by time.example" in line for line in lines),
                what=lambda: "\n".join(lines),
            )

        try:
            return await run(tmp_path / "data", {"ntp_servers": servers}, names, watch)
        finally:
            for server in (bad, good, names):
                server.close()

    lines = asyncio.run(live())
    assert any("no time from 127.0.0.1" in line for line in lines)


def test_no_time_server_is_asked_on_a_pc_by_itself(tmp_path: Path) -> None:
    async def live() -> list[bytes]:
        names = await serve(lambda packet: None)

        async def watch(lines: list[str]) -> None:
            await until(lambda: any(line.startswith("stats ") for line in lines))
            await until(lambda: room(tmp_path / "data", 0)["relay"])

        await run(tmp_path / "data", {}, names, watch)
        names.close()
        return names.packets

    assert asyncio.run(live()) == []


def test_a_room_is_heated_by_a_ds18b20_and_the_chip_only_measures(tmp_path: Path) -> None:
    zones = [
        {"name": "thermostat1", "sensor": "chip"},
        {"name": "thermostat2", "sensor": "ds18b20", "address": "28-0000075a1b2c", "relay": 1}
        | {"target_c": 24.0},
    ]

    async def live() -> list[str]:
        names = await serve(lambda packet: None)
        data = tmp_path / "data"

        async def watch(lines: list[str]) -> None:
            await until(lambda: room(data, 1)["relay"], what=lambda: "\n".join(lines))
            assert not room(data, 0)["relay"]
            await until(lambda: room(data, 1)["temperature_c"] > 18)

        try:
            return await run(data, {"zones": zones}, names, watch)
        finally:
            names.close()

    lines = asyncio.run(live())
    assert not any("no temperature" in line or "fell" in line for line in lines), lines


def test_a_chip_is_not_given_a_relay(tmp_path: Path) -> None:
    zones = [{"name": "thermostat1", "sensor": "chip", "relay": 0}]

    async def live() -> list[str]:
        names = await serve(lambda packet: None)

        async def watch(lines: list[str]) -> None:
            await until(lambda: any("take it away, or fit a sensor" in line for line in lines))

        try:
            return await run(tmp_path / "data", {"zones": zones}, names, watch)
        finally:
            names.close()

    assert any("zones[0].relay" in line for line in asyncio.run(live()))
