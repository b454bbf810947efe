"""What interfaces say of each other: whether it holds, and what one has with all it extends.

Source: Microsoft, Digital Twins Definition Language v2, "Interface", "Component".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from host_tools.hub.digital_twins.dtdl import Interface
from host_tools.hub.digital_twins.errors import dtdl_error

MAX_EXTENDS_DEPTH = 10

Lookup = Callable[[str], "Interface | None"]


def references(interface: Interface) -> set[str]:
    """What it cannot be without: all it extends, and its components' interfaces."""
    return {*interface.extends, *interface.components.values()}


def check_family(interface: Interface, find: Lookup) -> None:
    """Raises: GraphError DTDLParserError for a reference that leads nowhere or where it may
    not. The target of a relationship may come later, as on the service."""
    for dtmi in sorted(references(interface)):
        if find(dtmi) is None:
            raise dtdl_error(
                f"{interface.dtmi} refers to {dtmi}, which is neither uploaded nor in this call."
            )
    whole = with_inherited(interface, find)
    for name, dtmi in whole.components.items():
        source = find(dtmi)
        if source is not None and with_inherited(source, find).components:
            raise dtdl_error(
                f"{interface.dtmi}, component {name}: {dtmi} has components itself, which "
                "DTDL v2 does not allow."
            )


def with_inherited(interface: Interface, find: Lookup) -> Interface:
    """`interface` with everything of what it extends, however far.
    Raises: GraphError DTDLParserError for cycles, depth, and names that are there twice."""
    whole = replace(
        interface,
        properties={},
        telemetry={},
        commands=set(),
        components={},
        relationships={},
    )
    seen: set[str] = set()
    for each in _line(interface, find, MAX_EXTENDS_DEPTH, (interface.dtmi,)):
        if each.dtmi in seen:  # by two ways, which is no conflict
            continue
        seen.add(each.dtmi)
        twice = set(whole.names()) & set(each.names())
        if twice:
            raise dtdl_error(
                f"{interface.dtmi}: the name {min(twice)} is there twice, once of {each.dtmi}."
            )
        whole.properties.update(each.properties)
        whole.telemetry.update(each.telemetry)
        whole.commands.update(each.commands)
        whole.components.update(each.components)
        whole.relationships.update(each.relationships)
    return whole


def _line(
    interface: Interface, find: Lookup, depth: int, way: tuple[str, ...]
) -> Iterator[Interface]:
    """It, and all it extends. `way` led here."""
    yield interface
    for dtmi in interface.extends:
        base = find(dtmi)
        if dtmi in way:
            raise dtdl_error(f"{way[0]} extends itself by way of {dtmi}.")
        if depth == 0:
            raise dtdl_error(f"{way[0]} extends more than {MAX_EXTENDS_DEPTH} levels.")
        if base is not None:
            yield from _line(base, find, depth - 1, (*way, dtmi))
