"""What imports and exports ask of their containers of blobs; `hub.containers` reaches some."""

from __future__ import annotations

from typing import Protocol


class ContainerError(Exception):
    """A blob cannot be read or written; the text says why."""


class Containers(Protocol):
    async def read(self, uri: str, name: str) -> bytes:
        """Raises: ContainerError."""

    async def write(self, uri: str, name: str, data: bytes) -> None:
        """Raises: ContainerError."""


class NoContainers:
    """Of a hub that was given none."""

    async def read(self, uri: str, name: str) -> bytes:
        raise ContainerError("this hub reaches no containers")

    async def write(self, uri: str, name: str, data: bytes) -> None:
        raise ContainerError("this hub reaches no containers")
