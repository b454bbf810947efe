"""What a client asks for by an import or export, checked.

Addresses of containers hold keys (SAS): an order is for memory only, and shows none.
Source: REST "JobProperties".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import argument_invalid

IMPORT, EXPORT = "import", "export"
DEFAULT_BLOB, DEFAULT_CONFIGURATIONS_BLOB = "devices.txt", "configurations.txt"
_BLOB_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_MAX_URI_CHARS = 4096


@dataclass(frozen=True)
class Order:
    """`source` is "" for an export. `configurations_name` None: they stay out of it."""

    kind: str
    source: str = field(repr=False)
    target: str = field(repr=False)
    source_name: str
    target_name: str
    excludes_keys: bool
    configurations_name: str | None

    def view(self) -> JsonObject:
        """As it may be kept and told."""
        return {
            "type": self.kind,
            "inputBlobContainerUri": _without_key(self.source),
            "outputBlobContainerUri": _without_key(self.target),
            "inputBlobName": self.source_name if self.kind == IMPORT else None,
            "outputBlobName": self.target_name if self.kind == EXPORT else None,
            "excludeKeysInExport": self.excludes_keys,
            "includeConfigurations": self.configurations_name is not None,
            "configurationsBlobName": self.configurations_name,
        }


def parse_order(request: JsonObject) -> Order:
    """Raises: HubError 400004."""
    kind = request.get("type")
    if kind not in (IMPORT, EXPORT):
        raise argument_invalid(f"type is neither {IMPORT} nor {EXPORT}.")
    configurations_name = None
    if request.get("includeConfigurations") is True:
        configurations_name = _blob_name(
            request, "configurationsBlobName", DEFAULT_CONFIGURATIONS_BLOB
        )
    return Order(
        kind=str(kind),
        source=_uri(request, "inputBlobContainerUri") if kind == IMPORT else "",
        # An import writes there, too: what of it has failed
        target=_uri(request, "outputBlobContainerUri"),
        source_name=_blob_name(request, "inputBlobName", DEFAULT_BLOB),
        target_name=_blob_name(request, "outputBlobName", DEFAULT_BLOB),
        excludes_keys=request.get("excludeKeysInExport") is True,
        configurations_name=configurations_name,
    )


def _uri(request: JsonObject, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_URI_CHARS:
        raise argument_invalid(f"{name} is missing, or no address.")
    return value


def _blob_name(request: JsonObject, name: str, default: str) -> str:
    value = request.get(name) or default
    if not isinstance(value, str) or not _BLOB_NAME.fullmatch(value):
        raise argument_invalid(f"{name} is not the name of a blob that this hub can write.")
    return value


def _without_key(uri: str) -> str | None:
    return uri.partition("?")[0] or None
