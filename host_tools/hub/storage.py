"""The hub's memory in SQLite: in memory by default, or a file that outlives the process.

Every acknowledged change is committed. WAL with synchronous=NORMAL loses nothing when the process
is killed (only a power cut may take the last commits). Documents are written and committed one
call at a time; telemetry is gathered: all events appended in one turn of the event loop share one
commit. The MQTT door appends what it read from a socket, awaits `flush()` once, and only then
writes the PUBACKs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from host_tools.hub.state.documents import Json
from host_tools.hub.state.store import Change, EventRow
from host_tools.problem import Problem

SCHEMA_VERSION = 2
"""1 knew no modules; what it wrote is read as it is."""

_LOG = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE documents (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE events (
    part INTEGER NOT NULL, number INTEGER NOT NULL, enqueued_ms INTEGER NOT NULL,
    head TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (part, number)
);
"""


class StorageError(Problem):
    """The state cannot be read or kept; the text says what to do."""


class Storage:
    """`path` None: in memory. Raises: StorageError."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._callbacks: list[Callable[[bool], None]] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._commit_due = False
        self._dirty = False
        self._failure: StorageError | None = None
        try:
            self._database = _open(path)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(_explain(path, error)) from error

    def load(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Every document of one kind, as (key, document), in the order of the keys."""
        rows = self._database.execute(
            "SELECT key, body FROM documents WHERE kind = ? ORDER BY key", (kind,)
        )
        for key, body in rows.fetchall():
            yield key, json.loads(body)

    def write(self, changes: Sequence[Change]) -> None:
        """All changes or none; committed when it returns. Raises: StorageError."""
        rows = [(each.kind, each.key, _to_text(each.document)) for each in changes]
        try:
            self._begin()
            self._database.execute("SAVEPOINT changes")
            for kind, key, body in rows:
                self._apply(kind, key, body)
            self._database.execute("RELEASE changes")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK TO changes")
            raise StorageError(_explain(self._path, error)) from error
        self.commit()

    def append_event(self, row: EventRow) -> None:
        """Queue an event for the next group commit. Outside an event loop it is committed
        at once. Raises: StorageError."""
        head = json.dumps(row.head, separators=(",", ":"))
        try:
            self._begin()
            self._database.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                (row.partition, row.sequence_number, row.enqueued_ms, head, row.body),
            )
        except sqlite3.Error as error:
            raise StorageError(_explain(self._path, error)) from error
        self._commit_soon()

    async def flush(self) -> None:
        """Return once everything appended so far is committed.

        Call it in the same turn of the event loop as the appends (no `await` between), so that
        a commit that fails is told to those whose events it held. Raises: StorageError.
        """
        if not self._dirty:
            if self._failure is not None:
                raise self._failure
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._commit_soon()
        await waiter

    def commit(self) -> None:
        """Commit now what is open; tell those who wait. What cannot be committed is undone.
        Raises: StorageError."""
        self._commit_due = False
        if not self._dirty:
            return
        self._dirty = False
        failure: StorageError | None = None
        try:
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            failure = StorageError(_explain(self._path, error))
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
        self._failure = failure
        self._tell(failure)
        if failure is not None:
            raise failure

    def after_commit(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` after every commit: True, or False if all since the last is lost."""
        self._callbacks.append(callback)

    def read_events(self, partition: int, first: int, limit: int) -> list[EventRow]:
        """Events of a partition from sequence number `first` on."""
        rows = self._database.execute(
            "SELECT part, number, enqueued_ms, head, body FROM events"
            " WHERE part = ? AND number >= ? ORDER BY number LIMIT ?",
            (partition, first, limit),
        )
        return [
            EventRow(part, number, enqueued_ms, json.loads(head), body)
            for part, number, enqueued_ms, head, body in rows
        ]

    def first_event_since(self, partition: int, enqueued_ms: int) -> int | None:
        """Sequence number of the first event of a partition that is not older."""
        rows = self._database.execute(
            "SELECT min(number) FROM events WHERE part = ? AND enqueued_ms >= ?",
            (partition, enqueued_ms),
        )
        (number,) = rows.fetchone()
        return None if number is None else int(number)

    def sequence_ranges(self) -> dict[int, tuple[int, int]]:
        """First and last sequence number of each partition that holds events."""
        rows = self._database.execute(
            "SELECT part, min(number), max(number) FROM events GROUP BY part"
        )
        return {part: (first, last) for part, first, last in rows}

    def trim_events(self, before_ms: int, keep: int) -> None:
        """Drop events older than `before_ms` or beyond the newest `keep` of a partition; the
        newest stays. Raises: StorageError."""
        for partition, (_, last) in self.sequence_ranges().items():
            try:
                self._begin()
                self._database.execute(
                    "DELETE FROM events WHERE part = ? AND number < ?"
                    " AND (enqueued_ms < ? OR number <= ?)",
                    (partition, last, before_ms, last - keep),
                )
            except sqlite3.Error as error:
                raise StorageError(_explain(self._path, error)) from error
        self.commit()

    def close(self) -> None:
        self.commit()
        self._database.close()

    def _tell(self, failure: StorageError | None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)
        for callback in self._callbacks:
            callback(failure is None)

    def _begin(self) -> None:
        if not self._database.in_transaction:
            self._database.execute("BEGIN")
        self._dirty = True

    def _apply(self, kind: str, key: str, body: str | None) -> None:
        if body is None:
            self._database.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))
        else:
            self._database.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, key, body)
            )

    def _commit_soon(self) -> None:
        if self._commit_due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.commit()
            return
        self._commit_due = True
        # After the sockets that are ready now have been read: what they append shares it.
        loop.call_soon(self._commit_due_now)

    def _commit_due_now(self) -> None:
        try:
            self.commit()
        except StorageError as error:
            _LOG.error("Telemetry is not stored: %s.", error)


def _to_text(document: Json) -> str | None:
    return None if document is None else json.dumps(document, separators=(",", ":"))


def _open(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        # It holds keys: nobody else may read it. SQLite gives its side files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(
        ":memory:" if path is None else str(path), isolation_level=None, timeout=0
    )
    try:
        # One hub per file: a second one would work on an outdated copy.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA user_version")  # fails, before any harm, if it is another file
        if path is not None:
            path.chmod(0o600)  # it may have been there already, and open to others
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"the state file was written by a newer version of thermo (format {version}, this one"
            f" knows {SCHEMA_VERSION}); use that version, or another file"
        )
    if version == 0:
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
    if version < SCHEMA_VERSION:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.execute("COMMIT")


def _explain(path: Path | None, error: Exception) -> str:
    where = "the state in memory" if path is None else f"the state file {path}"
    text = str(error)
    if "locked" in text:
        return f"{where} is used by another hub; stop it, or give another file"
    if "not a database" in text:
        return f"{where} is not a state file of a hub; give another file"
    return f"{where} cannot be used ({text}); check the disk and its permissions"
