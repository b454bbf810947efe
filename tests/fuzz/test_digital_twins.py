"""Broken models, twins, patches, queries and filters: nothing but GraphError comes out.

Each input is a right one with a few places replaced, removed or repeated, so that most of it is
read before it is refused. THERMO_FUZZ is how many of each, THERMO_SEED gives a run again.
"""

import copy
import json
import os
import random
import time

import pytest
from fuzz import seeds

from host_tools.cloud.twins_models import bundled
from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.digital_twins.graph import Graph
from host_tools.hub.storage import Storage

COUNT = int(os.environ.get("THERMO_FUZZ", "2000"))
SEED = seeds.seed()
SLOWEST_S = 2.0
ODD = [
    *(None, True, False, 0, -1, 2**70, 1.5, "", "x" * 5000, "a\nb", "\x00", "'", "$dtId"),
    *([], {}, [[]], {"@type": "Object"}, {"$metadata": {}}, ["double"], "dtmi:com:example:Room;1"),
]
MODELS = [
    json.loads(path.read_text()) for folder in bundled() for path in sorted(folder.glob("*.json"))
]
ROOM = "dtmi:com:example:Room;1"
DEVICE = "dtmi:com:example:TemperatureController;1"
COMPONENTS = ("thermostat1", "thermostat2", "deviceInformation")
TWIN = {
    "$metadata": {"$model": DEVICE, "serialNumber": {"sourceTime": "2026-01-01T00:00:00Z"}},
    "serialNumber": "1",
    **{name: {"$metadata": {}} for name in COMPONENTS},
}
PATCH = [
    {"op": "add", "path": "/serialNumber", "value": "2"},
    {"op": "replace", "path": "/thermostat1/targetTemperature", "value": 20},
    {"op": "remove", "path": "/$metadata/serialNumber/sourceTime"},
]
EDGE = {"$relationshipName": "isFeltBy", "$targetId": "device", "component": "thermostat1"}
QUERY = (
    "SELECT TOP(3) R, D.serialNumber AS s FROM DIGITALTWINS R JOIN D RELATED R.isFeltBy E WHERE "
    "R.$dtId IN ['room', 'x'] AND (IS_OF_MODEL(D, 'dtmi:com:example:Thermostat;1', exact) OR "
    "NOT R.temperature >= 20.5) AND STARTSWITH(E.component, 'thermo') AND IS_DEFINED(R.name)"
)
FILTER = "(type = 'a' OR STARTS_WITH(subject, 'b')) AND NOT $body.patch.value != 3 AND true"


class Broken:
    """Right things made wrong."""

    def __init__(self, chance):
        self.chance = chance

    def document(self, document):
        found = copy.deepcopy(document)
        for _ in range(self.chance.randint(1, 3)):
            found = self.once(found)
        return found

    def once(self, document):
        """One place, chosen anywhere below."""
        chance = self.chance
        if not isinstance(document, (dict, list)) or not document or chance.random() < 0.15:
            return copy.deepcopy(chance.choice(ODD))
        if isinstance(document, list):
            at = chance.randrange(len(document))
            if chance.random() < 0.2:
                return [*document, *document[at:]]
            return [*document[:at], self.once(document[at]), *document[at + 1 :]]
        name = chance.choice(list(document))
        deed = chance.random()
        if deed < 0.15:
            return {key: value for key, value in document.items() if key != name}
        if deed < 0.3:
            return {**document, str(chance.choice(ODD)): document[name]}
        return {**document, name: self.once(document[name])}

    def text(self, text):
        for _ in range(self.chance.randint(1, 3)):
            at, to = sorted(self.chance.randrange(len(text) + 1) for _ in range(2))
            part = self.chance.choice(["", text[at:to] * 2, "(", ")", "'", "..", "$", "\x00", "é"])
            text = text[:at] + part + text[min(to, at + 12) :]
            text = text or "x"
        return text


@pytest.fixture
def graph():
    found = Graph(Storage(), time.time, "hub", ("events",), lambda endpoint, event: None)
    found.models.upload(MODELS)
    found.put_twin("device", TWIN)
    found.put_twin("room", {"$metadata": {"$model": ROOM}, "name": "Room", "temperature": 20})
    found.put_relationship("room", "edge", EDGE)
    found.routes.put("route", {"endpointName": "events", "filter": "true"})
    return found


def hold(graph, call, *arguments):
    """Whether the call was taken. Nothing but GraphError may come out, and soon."""
    began = time.monotonic()
    try:
        found = call(*arguments)
        if hasattr(found, "__next__"):
            list(found)
    except GraphError as error:
        if not (error.message and 400 <= error.http_status < 500):
            raise RuntimeError(f"refused with {error.http_status} {error.message!r}") from error
        return False
    finally:
        assert time.monotonic() - began < SLOWEST_S
    return True


def run(graph, broken, right, call, count=COUNT):
    taken = 0
    for number in range(count):
        thing = broken(right)
        try:
            taken += hold(graph, call, thing)
        except Exception as error:
            raise AssertionError(f"seed {SEED}, number {number}: {thing!r}") from error
    # Near enough to what is right that some of it is: the rest was read before it was refused
    assert 0 < taken < count, taken
    return taken


def test_models(graph):
    fresh = json.loads(json.dumps(MODELS).replace("dtmi:com:", "dtmi:org:"))

    def upload(documents):
        other = Graph(Storage(), time.time, "hub", ("events",), lambda *_: None)
        other.models.upload(documents)

    run(graph, Broken(random.Random(SEED)).document, fresh, upload, COUNT // 4)


def test_twins(graph):
    run(
        graph,
        Broken(random.Random(SEED)).document,
        TWIN,
        lambda body: graph.put_twin("twin", body),
    )


def test_patches(graph):
    before = graph.get_twin("device")

    def patch(operations):
        graph.put_twin(
            "device", {**TWIN, "thermostat1": {"$metadata": {}, "targetTemperature": 1}}
        )
        graph.patch_twin("device", operations)

    run(graph, Broken(random.Random(SEED)).document, PATCH, patch)
    assert before["serialNumber"] == "1"  # what was handed out does not change


def test_relationships(graph):
    run(
        graph,
        Broken(random.Random(SEED)).document,
        EDGE,
        lambda body: graph.put_relationship("room", "edge", body),
    )


def test_queries(graph):
    run(graph, Broken(random.Random(SEED)).text, QUERY, graph.query)


def test_filters(graph):
    run(
        graph,
        Broken(random.Random(SEED)).text,
        FILTER,
        lambda text: graph.routes.put("route", {"endpointName": "events", "filter": text}),
    )
    graph.put_twin("device", TWIN)


@pytest.mark.parametrize("text", ["(" * 3000, "NOT " * 1900 + "a", "a = 1 AND " * 700 + "a = 1"])
def test_depth_is_bounded(graph, text):
    assert not hold(graph, graph.query, "SELECT * FROM DIGITALTWINS WHERE " + text)
    route = {"endpointName": "events", "filter": text}
    hold(graph, graph.routes.put, "deep", route)
