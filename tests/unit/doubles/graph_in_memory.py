"""A graph without its door, and three models to fill it with."""

from host_tools.hub.digital_twins.graph import Graph
from host_tools.hub.storage import Storage

FLOOR, ROOM, BASE = (f"dtmi:com:test:{name};1" for name in ("Floor", "Room", "Base"))


def interface(dtmi, *contents, **more):
    head = {"@id": dtmi, "@type": "Interface", "@context": "dtmi:dtdl:context;2"}
    return {**head, "contents": list(contents), **more}


MODELS = [
    interface(BASE, {"@type": "Property", "name": "name", "schema": "string"}),
    interface(
        FLOOR,
        {
            "@type": "Relationship",
            "name": "contains",
            "target": BASE,
            "properties": [{"@type": "Property", "name": "since", "schema": "integer"}],
        },
        extends=BASE,
    ),
    interface(
        ROOM,
        {"@type": ["Property", "Temperature"], "name": "temperature", "schema": "double"},
        extends=[BASE],
    ),
]


def make_graph(storage=None, told=None, now=(1000.0,)):
    told = [] if told is None else told
    return Graph(
        storage or Storage(),
        lambda: now[0],
        "hub.test",
        ("events",),
        lambda endpoint, event: told.append((endpoint, event)),
    )
