"""Who reads which partition: the rules by which readers of one consumer group push each other out.

A reader with an epoch (owner level) owns the partition: readers without one are ended and refused,
one with a higher or the same epoch takes it over. Without epochs a few may read side by side.
Source: Azure Event Hubs, "Features and terminology", event consumers; limit of five readers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from host_tools.hub.state.errors import HubError

DEFAULT_GROUP = "$Default"
MAX_READERS = 5  # of one partition and group, without epoch


class Stolen(HubError):
    """Another reader has, or gets, the partition."""

    def __init__(self, message: str) -> None:
        super().__init__(409000, "ReceiverDisconnected", 409, message)


@dataclass(frozen=True)
class _Reader:
    epoch: int | None
    end: Callable[[Stolen], None]


class Consumers:
    def __init__(self) -> None:
        self._readers: dict[tuple[str, int], list[_Reader]] = {}

    def join(
        self, group: str, partition: int, epoch: int | None, end: Callable[[Stolen], None]
    ) -> Callable[[], None]:
        """Take part in reading. `end` is called when another takes the partition over.

        Returns: the way to leave. Raises: Stolen, HubError (too many readers).
        """
        key = (group.lower(), partition)
        readers = self._readers.setdefault(key, [])
        owner = max((each.epoch for each in readers if each.epoch is not None), default=None)
        if owner is not None and (epoch is None or epoch < owner):
            raise Stolen(f"The partition is read with epoch {owner}.")
        if epoch is None and len(readers) >= MAX_READERS:
            raise HubError(403000, "QuotaExceeded", 403, f"{MAX_READERS} read this partition.")
        if epoch is not None:
            for each in list(readers):
                each.end(Stolen(f"A reader with epoch {epoch} has taken the partition."))
        reader = _Reader(epoch, end)
        readers.append(reader)

        def leave() -> None:
            if reader in readers:
                readers.remove(reader)

        return leave
