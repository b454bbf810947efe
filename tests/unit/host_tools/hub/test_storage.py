import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing

from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.store import Change, EventRow
from host_tools.hub.storage import SCHEMA_VERSION, Storage, StorageError


def _row(number, body=b"x", partition=0, enqueued_ms=0):
    return EventRow(partition, number, enqueued_ms, {"n": number}, body)


def test_documents_are_kept_by_kind_and_key(tmp_path):
    storage = Storage(tmp_path / "state")
    storage.write([Change("a", "2", {"x": [1, None]}), Change("a", "1", "text")])
    storage.write([Change("b", "1", True), Change("a", "1", None)])
    storage.close()
    storage = Storage(tmp_path / "state")
    assert list(storage.load("a")) == [("2", {"x": [1, None]})]
    assert list(storage.load("b")) == [("1", True)]


def test_a_write_is_all_or_nothing():
    storage = Storage()
    storage.write([Change("a", "1", 1)])
    with raises(TypeError):
        storage.write([Change("a", "1", 2), Change("a", "2", b"not JSON")])
    storage.write([])
    assert list(storage.load("a")) == [("1", 1)]


def test_only_the_owner_may_read_the_file(tmp_path):
    storage = Storage(tmp_path / "state")
    storage.write([Change("a", "1", 1)])
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}
    storage.close()


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    (tmp_path / "state").touch(mode=0o644)
    test_only_the_owner_may_read_the_file(tmp_path)


def test_a_newer_file_is_refused_in_words(tmp_path):
    Storage(tmp_path / "state").close()
    database = sqlite3.connect(tmp_path / "state")
    database.execute("PRAGMA user_version = %d" % (SCHEMA_VERSION + 1))
    database.close()
    with raises(StorageError, "newer version of thermo"):
        Storage(tmp_path / "state")


def test_foreign_busy_and_unreachable_files_are_refused_in_words(tmp_path):
    (tmp_path / "text").write_text("this is not a database " * 100)
    (tmp_path / "text").chmod(0o644)
    with raises(StorageError, "not a state file"):
        Storage(tmp_path / "text")
    assert stat.S_IMODE((tmp_path / "text").stat().st_mode) == 0o644
    with raises(StorageError, "permissions"):
        Storage(tmp_path / "absent" / "state")
    first = Storage(tmp_path / "state")
    with raises(StorageError, "another hub"):
        Storage(tmp_path / "state")
    first.close()
    Storage(tmp_path / "state").close()


def test_events_are_read_by_number_and_trimmed_by_age_and_count():
    storage = Storage()
    for number in range(10):
        storage.append_event(_row(number, b"%d" % number, enqueued_ms=number))
    storage.append_event(_row(0, partition=1))
    assert [row.body for row in storage.read_events(0, 7, 2)] == [b"7", b"8"]
    assert storage.read_events(0, 3, 1) == [_row(3, b"3", enqueued_ms=3)]
    storage.trim_events(before_ms=3, keep=100)
    assert storage.sequence_ranges() == {0: (3, 9), 1: (0, 0)}
    storage.trim_events(before_ms=0, keep=2)
    assert storage.sequence_ranges()[0] == (8, 9)
    storage.trim_events(before_ms=1000, keep=0)
    assert storage.sequence_ranges() == {0: (9, 9), 1: (0, 0)}


def test_flush_returns_only_after_the_commit(tmp_path):
    storage = Storage(tmp_path / "state")
    commits = []
    storage.after_commit(commits.append)

    async def scene():
        storage.append_event(_row(0))
        assert not commits
        await storage.flush()
        assert commits == [True]
        await asyncio.wait_for(storage.flush(), 1)
        assert commits == [True]

    asyncio.run(scene())


def test_a_failed_commit_is_undone_and_told_to_all_that_wait():
    storage = Storage()
    outcomes = []
    storage.after_commit(outcomes.append)
    real = storage._database

    class Failing:
        @property
        def in_transaction(self):
            return real.in_transaction

        def execute(self, statement, *values):
            if statement == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")
            return real.execute(statement, *values)

    async def scene():
        async def device(number):
            storage.append_event(_row(number))
            await storage.flush()

        storage._database = Failing()
        results = await asyncio.gather(device(0), device(5), return_exceptions=True)
        assert [type(each) for each in results] == [StorageError] * 2
        with raises(StorageError):
            await storage.flush()
        assert outcomes == [False]
        storage._database = real
        storage._database = Failing()
        with raises(StorageError):
            storage.write([Change("a", "1", 1)])
        storage._database = real
        storage.append_event(_row(1))
        await storage.flush()
        assert storage.sequence_ranges() == {0: (1, 1)}
        assert list(storage.load("a")) == []
        assert outcomes == [False, False, True]

    asyncio.run(scene())


_WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from host_tools.hub.state.c2d import Message
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage

async def main():
    hub = Hub("localhost", Storage(Path(sys.argv[1])))
    for number in itertools.count(int(sys.argv[2])):
        name = "d%d" % number
        hub.registry.create({"deviceId": name})
        hub.twins.update_desired(name, {"properties": {"desired": {"n": number}}})
        hub.twins.update_reported(name, {"n": number})
        hub.connections.subscribe(name, "filter", 1)
        hub.c2d.send(name, Message(b"%d" % number))
        for _ in range(3):
            hub.telemetry.append(name, b"%d" % number, {})
        await hub.flush()
        print(number, flush=True)

asyncio.run(main())
"""


def test_kill_9_loses_nothing_acknowledged(tmp_path):
    path = tmp_path / "state"
    start, telemetry_count = 0, 0
    for round_number in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_WRITER), str(path), str(start)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            for _ in range(20 + 17 * round_number):
                acknowledged = int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
            process.wait()
            process.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged
        hub = make_hub(path=path)
        stored = [
            event.body for part in (0, 1) for event in hub.telemetry.read(part, 0, 1_000_000)
        ]
        for number in range(start, acknowledged + 1):
            name = "d%d" % number
            view = hub.twins.device_view(name)
            assert view["desired"]["n"] == view["reported"]["n"] == number
            assert hub.connections.subscriptions(name) == {"filter": 1}
            assert hub.c2d.count(name) == 1
            assert stored.count(b"%d" % number) >= 3
        assert len(stored) >= telemetry_count + 3 * (acknowledged + 1 - start)
        telemetry_count = len(stored)
        start = len(hub.registry.device_ids())
        # What was begun and not acknowledged may be there or not, but is whole.
        hub.storage.close()


def test_what_an_older_version_wrote_is_read_and_kept_from_it(tmp_path):
    path = tmp_path / "state"
    identity = {
        "device_id": "d1",
        "generation_id": "5",
        "etag": "e",
        "status": "enabled",
        "status_reason": None,
        "status_updated_s": None,
        "authentication_type": "sas",
        "primary_key": "",
        "secondary_key": "",
        "primary_thumbprint": None,
        "secondary_thumbprint": None,
        "iot_edge": False,
        "device_scope": None,
        "parent_scopes": [],
    }
    storage = Storage(path)
    storage.write([Change("device", "d1", identity)])
    storage.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 1")
    hub = make_hub(path=path)
    assert hub.registry.get("d1")["generationId"] == "5"
    hub.storage.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
