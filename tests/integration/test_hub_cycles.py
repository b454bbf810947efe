"""Starting and stopping a hub again and again leaves nothing behind."""

import asyncio
import gc
import os
import threading
from pathlib import Path

from loopback import own_address
from started_hub import connect, hub_start

from host_tools.hub.server import HubServer, Ports

CYCLES = 20


def open_files():
    return sorted(
        os.readlink(f"/proc/self/fd/{name}")
        for name in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{name}")
    )


def test_twenty_cycles_in_one_process(tmp_path):
    """No socket, file, task, thread; the same ports are free at once; the state goes on."""

    async def cycle(server, number):
        async with server:
            server.ensure_device("dev1")
            device, code, _ = await connect(
                server.port("MQTT"),
                server.certificates.ca_pem,
                server.device_connection_string("dev1"),
                server.host,
            )
            assert code == (int(number > 0), 0)
            await device.subscribe(("$iothub/twin/res/#", 1))
            await device.publish("devices/dev1/messages/events/", b"%d" % number)
        assert await device.is_closed()
        device.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def cycles():
        server = HubServer(tmp_path / "w", tmp_path / "state", own_address(), Ports())
        await cycle(server, 0)
        gc.collect()
        before = open_files(), threading.active_count()
        for number in range(1, CYCLES):
            await cycle(server, number)
        gc.collect()
        assert (open_files(), threading.active_count()) == before
        async with server:
            events = [*server.hub.telemetry.read(0), *server.hub.telemetry.read(1)]
            assert [int(event.body) for event in events] == list(range(CYCLES))

    asyncio.run(cycles())
    assert {path.name for path in tmp_path.iterdir()} == {"w", "state"}


def test_processes_leave_neither_children_nor_files(tmp_path):
    address = own_address()
    names = set()
    for _ in range(3):
        with hub_start(tmp_path, "--host", address, "--state", "state") as started:
            pid = started.process.pid
            err = started.end()
            assert started.process.returncode == 0
            assert "Traceback" not in err
        assert not Path(f"/proc/{pid}").exists()
        names |= {path.name for path in tmp_path.iterdir()}
    assert names == {".thermo", "state"}
    assert not list(Path(tmp_path / ".thermo").glob("*.part"))
