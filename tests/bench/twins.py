"""The graph under load: 1,000 rooms, 2,000 thermostats, 10,000 relationships.

Over HTTPS on loopback, from one client with one connection, as the SDK has; the hub is a process
of its own.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from host_tools.cloud.twins_models import bundled
from host_tools.hub.state.entra import DIGITAL_TWINS
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage
from tests.bench.hub import Started
from tests.bench.rows import row

FLOORS = 10
ROOMS = 1000
THERMOSTATS = 2000
RELATIONSHIPS = 10_000
QUERIES = 9
PATCHES = 300
API = "?api-version=2023-10-31"
JOIN = (
    "SELECT R, T FROM DIGITALTWINS F JOIN R RELATED F.contains JOIN T RELATED R.isFeltBy "
    "WHERE F.$dtId = 'floor3' AND R.temperature > 21"
)


def rows() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        join_ms, patch_ms = asyncio.run(_measure(Path(name)))
    return [row("twins_join", round(join_ms, 1)), row("twins_patch_p50", round(patch_ms, 2))]


def fill(hub: Hub) -> None:
    """The building; every relationship beyond the tree joins a room to one more thermostat."""
    graph, kind = hub.graph, "dtmi:com:example:{};1".format
    paths = [path for folder in bundled() for path in sorted(folder.glob("*.json"))]
    graph.models.upload([json.loads(path.read_text()) for path in paths])
    for number in range(FLOORS):
        graph.put_twin(f"floor{number}", {"$metadata": {"$model": kind("Floor")}})
    for number in range(THERMOSTATS):
        graph.put_twin(f"t{number}", {"$metadata": {"$model": kind("Thermostat")}})
    for number in range(ROOMS):
        temperature = 18 + number % 7
        body = {"$metadata": {"$model": kind("Room")}, "temperature": temperature}
        graph.put_twin(f"room{number}", body)
        _relate(hub, f"floor{number % FLOORS}", "contains", f"room{number}")
    for number in range(RELATIONSHIPS - ROOMS):
        target = (number * 7) % THERMOSTATS
        _relate(hub, f"room{number % ROOMS}", "isFeltBy", f"t{target}", str(number))


def _relate(hub: Hub, source: str, name: str, target: str, mark: str = "") -> None:
    body = {"$relationshipName": name, "$targetId": target}
    hub.graph.put_relationship(source, f"{name}-{target}-{mark}", body)


async def _measure(folder: Path) -> tuple[float, float]:
    """Medians in milliseconds: of the two-hop JOIN with all its pages, of a patch."""
    started = Started(folder, devices=1)
    storage = Storage(started.state)
    hub = Hub(started.host, storage)
    fill(hub)
    token = hub.entra.issue(DIGITAL_TWINS).text
    storage.close()
    await started.start()
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with started.session(headers) as session:
            joins = [await _timed(_join(session)) for _ in range(QUERIES)]
            patches = [await _timed(_patch(session, each)) for each in range(PATCHES)]
    finally:
        await started.stop()
    return statistics.median(joins), statistics.median(patches)


async def _timed(work: Any) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


async def _join(session: ClientSession) -> None:
    body: dict[str, Any] = {"query": JOIN}
    found = 0
    while True:
        async with session.post(f"/query{API}", json=body) as answer:
            page = await answer.json()
            assert answer.status == 200, page
        found += len(page["value"])
        if not page["continuationToken"]:
            break
        body["continuationToken"] = page["continuationToken"]
    assert found > 100, found


async def _patch(session: ClientSession, number: int) -> None:
    patch = [{"op": "add", "path": "/temperature", "value": number / 10}]
    async with session.patch(f"/digitaltwins/room{number}{API}", json=patch) as answer:
        assert answer.status == 204, await answer.text()
