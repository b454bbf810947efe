"""The DTDL model that a device is held to: what its root and its components declare.

An own reading of DTDL v2, apart from the firmware's: else both would make the same mistake.

Source: Microsoft, Digital Twins Definition Language v2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools.service import ServiceError

_LONGEST_CHAIN = 10
_LARGEST_BYTES = 1 << 20


@dataclass(frozen=True)
class Property:
    name: str
    schema: Any
    is_writable: bool


@dataclass(frozen=True)
class Command:
    """`request` and `response` are schemas, None where the command has none."""

    name: str
    request: Any
    response: Any


@dataclass
class Interface:
    """What the component `name` ("" for the root) declares, with all that it extends."""

    name: str
    dtmi: str
    properties: dict[str, Property] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    telemetry: dict[str, Any] = field(default_factory=dict)


def load_models(folder: Path) -> dict[str, dict[str, Any]]:
    """{DTMI: document} of all DTDL files in `folder`. Raises ServiceError."""
    found: dict[str, dict[str, Any]] = {}
    try:
        paths = sorted(folder.rglob("*.json"))
        for path in paths:
            if path.stat().st_size <= _LARGEST_BYTES:
                content = json.loads(path.read_text())
                for document in content if isinstance(content, list) else [content]:
                    if isinstance(document, dict) and str(document.get("@id")).startswith("dtmi:"):
                        found[document["@id"]] = document
    except (OSError, ValueError, RecursionError) as error:
        raise ServiceError(
            f"the models in {folder} cannot be read ({error}); correct the file"
        ) from None
    if not found:
        raise ServiceError(f"there is no DTDL file in {folder}; name the folder with --models")
    return found


def interfaces(dtmi: str, models: dict[str, dict[str, Any]]) -> list[Interface]:
    """The root and its components. Raises ServiceError for a model that is not whole."""
    try:
        root = Interface("", dtmi)
        components: dict[str, Any] = {}
        _add(root, models[dtmi], models, components, _LONGEST_CHAIN)
        found = [root]
        for name, schema in components.items():
            source = schema if isinstance(schema, dict) else models[schema]
            below = Interface(name, source["@id"])
            _add(below, source, models, {}, _LONGEST_CHAIN)
            found.append(below)
        return found
    except (KeyError, TypeError, AttributeError) as error:
        raise ServiceError(
            f"the model {dtmi} is not whole ({error}); put the DTDL files of all its interfaces "
            "into the folder of --models"
        ) from None


def _add(
    interface: Interface,
    document: dict[str, Any],
    models: dict[str, dict[str, Any]],
    components: dict[str, Any],
    longest: int,
) -> None:
    if longest == 0:
        raise KeyError("a chain of extends that is too long")
    bases = document.get("extends") or []
    for base in bases if isinstance(bases, list) else [bases]:
        inherited = base if isinstance(base, dict) else models[base]
        _add(interface, inherited, models, components, longest - 1)
    for content in document.get("contents", []):
        kinds = content["@type"]
        kinds = [kinds] if isinstance(kinds, str) else kinds
        name = content["name"]
        if "Property" in kinds:
            writable = content.get("writable") is True
            interface.properties[name] = Property(name, content["schema"], writable)
        elif "Telemetry" in kinds:
            interface.telemetry[name] = content["schema"]
        elif "Command" in kinds:
            request, response = content.get("request"), content.get("response")
            interface.commands[name] = Command(
                name, request and request["schema"], response and response["schema"]
            )
        elif "Component" in kinds:
            components[name] = content["schema"]
