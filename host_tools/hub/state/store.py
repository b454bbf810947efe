"""What the state asks of its storage; `host_tools.hub.storage` keeps it in SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from host_tools.hub.state.documents import Json


class Change(NamedTuple):
    """One document to keep, or to drop when `document` is None."""

    kind: str
    key: str
    document: Json


Changes: TypeAlias = list[Change]


class EventRow(NamedTuple):
    """One telemetry event as stored; `head` is everything but the body, as JSON."""

    partition: int
    sequence_number: int
    enqueued_ms: int
    head: Json
    body: bytes


class Store(Protocol):
    def load(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Every document of one kind, as (key, document), in the order of the keys."""

    def write(self, changes: Sequence[Change]) -> None:
        """All changes or none; committed when it returns."""

    def append_event(self, row: EventRow) -> None:
        """Queue an event for the next group commit; `flush` tells when it is safe."""

    def read_events(self, partition: int, first: int, limit: int) -> list[EventRow]:
        """Events of a partition from sequence number `first` on."""

    def first_event_since(self, partition: int, enqueued_ms: int) -> int | None:
        """Sequence number of the first event of a partition that is not older."""

    def sequence_ranges(self) -> dict[int, tuple[int, int]]:
        """First and last sequence number of each partition that holds events."""

    def trim_events(self, before_ms: int, keep: int) -> None:
        """Drop events older than `before_ms` or beyond the newest `keep` of a partition.
        The newest event of a partition stays, so that numbers never start again."""

    def after_commit(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` after every commit: True, or False if all since the last is lost."""

    async def flush(self) -> None:
        """Return once everything appended so far is committed. Raises: StorageError."""
