"""The operations of Digital Twins, one by one, and where each lies.

Source: REST specification of the Azure Digital Twins data plane, 2023-10-31.
"""

from __future__ import annotations

from host_tools.hub.digital_twins.bulk_jobs import DELETION, IMPORT
from host_tools.hub.digital_twins.errors import GraphError, invalid_argument
from host_tools.hub.endpoints.graph_call import (
    MAX_QUERY_PAGE,
    TOKEN,
    Answer,
    Call,
    Operation,
    cut,
    page_of,
    parse_token,
    with_etag,
)
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.hub import Hub

_DONE = Answer(status=204)


async def add_models(hub: Hub, call: Call) -> Answer:
    added = hub.graph.models.upload(call.json())
    return Answer([model.described(with_document=False) for model in added], 201)


async def list_models(hub: Hub, call: Call) -> Answer:
    with_document = call.first("includeModelDefinition") in ("true", "True")
    found = hub.graph.models.list(call.query.get("dependenciesFor", ()))
    return page_of(call, (model.described(with_document) for model in found), "id")


async def get_model(hub: Hub, call: Call) -> Answer:
    with_document = call.first("includeModelDefinition") in ("true", "True")
    return Answer(hub.graph.models.get(*call.names).described(with_document))


async def update_model(hub: Hub, call: Call) -> Answer:
    hub.graph.models.decommission(call.name, call.json())
    return _DONE


async def delete_model(hub: Hub, call: Call) -> Answer:
    hub.graph.models.delete(*call.names)
    return _DONE


async def put_twin(hub: Hub, call: Call) -> Answer:
    return with_etag(hub.graph.put_twin(call.name, call.json(), call.only_new))


async def get_twin(hub: Hub, call: Call) -> Answer:
    return with_etag(hub.graph.get_twin(*call.names))


async def patch_twin(hub: Hub, call: Call) -> Answer:
    return with_etag(hub.graph.patch_twin(call.name, call.json(), call.if_match), 204)


async def delete_twin(hub: Hub, call: Call) -> Answer:
    hub.graph.delete_twin(call.name, call.if_match)
    return _DONE


async def get_component(hub: Hub, call: Call) -> Answer:
    found = hub.graph.get_component(*call.names)
    etag = str(hub.graph.get_twin(call.names[0])["$etag"])
    return Answer(found, headers={"ETag": etag})


async def patch_component(hub: Hub, call: Call) -> Answer:
    twin_id, name = call.names
    changed = hub.graph.patch_component(twin_id, name, call.json(), call.if_match)
    return with_etag(changed, 204)


async def put_relationship(hub: Hub, call: Call) -> Answer:
    twin_id, name = call.names
    return with_etag(hub.graph.put_relationship(twin_id, name, call.json(), call.only_new))


async def get_relationship(hub: Hub, call: Call) -> Answer:
    return with_etag(hub.graph.get_relationship(*call.names))


async def patch_relationship(hub: Hub, call: Call) -> Answer:
    twin_id, name = call.names
    changed = hub.graph.patch_relationship(twin_id, name, call.json(), call.if_match)
    return with_etag(changed, 204)


async def delete_relationship(hub: Hub, call: Call) -> Answer:
    twin_id, name = call.names
    hub.graph.delete_relationship(twin_id, name, call.if_match)
    return _DONE


async def list_relationships(hub: Hub, call: Call) -> Answer:
    (twin_id,) = call.names
    hub.graph.get_twin(twin_id)
    found = hub.graph.outgoing(twin_id, call.first("relationshipName"))
    return page_of(call, found, "$relationshipId")


async def list_incoming(hub: Hub, call: Call) -> Answer:
    (twin_id,) = call.names
    hub.graph.get_twin(twin_id)
    found = map(_incoming, hub.graph.incoming(twin_id))
    return page_of(call, found, "$sourceId", "$relationshipId")


def _incoming(edge: JsonObject) -> JsonObject:
    source, name = edge["$sourceId"], edge["$relationshipId"]
    return {
        "$relationshipId": name,
        "$sourceId": source,
        "$relationshipName": edge["$relationshipName"],
        "$relationshipLink": f"/digitaltwins/{source}/relationships/{name}",
    }


async def publish(hub: Hub, call: Call) -> Answer:
    twin_id, component = (*call.names, "")[:2]
    message_id, moment = (call.text(name) for name in ("Message-Id", "Telemetry-Source-Time"))
    if not message_id:
        raise GraphError("MissingArgument", "The header Message-Id is missing.")
    hub.graph.publish(twin_id, component, call.json(), message_id, moment)
    return _DONE


async def put_route(hub: Hub, call: Call) -> Answer:
    hub.graph.routes.put(call.name, call.json())
    return _DONE


async def get_route(hub: Hub, call: Call) -> Answer:
    return Answer(hub.graph.routes.get(*call.names).described())


async def list_routes(hub: Hub, call: Call) -> Answer:
    return page_of(call, (route.described() for route in hub.graph.routes.list()), "id")


async def delete_route(hub: Hub, call: Call) -> Answer:
    hub.graph.routes.delete(*call.names)
    return _DONE


async def query(hub: Hub, call: Call) -> Answer:
    body = call.json()
    if not isinstance(body, dict):
        raise invalid_argument("The body is not a JSON object.")
    text: Json = body.get("query")
    token: Json = body.get(TOKEN)
    if not isinstance(text, str) or not isinstance(token, (str, type(None))):
        raise invalid_argument("/query: it is missing, or not a text.")
    size = call.page_size(MAX_QUERY_PAGE)
    found, following = cut(hub.graph.query(text, parse_token(token)), size)
    # What the service charges is a matter of its machines; one unit is its least
    return Answer({"value": [*found], TOKEN: following}, headers={"query-charge": "1"})


async def begin_import(hub: Hub, call: Call) -> Answer:
    return Answer(hub.graph_jobs.begin(IMPORT, call.name, call.json()), 201)


async def begin_deletion(hub: Hub, call: Call) -> Answer:
    job = hub.graph_jobs.begin(DELETION, call.name, None)
    place = f"{call.url}?api-version={call.first('api-version')}"
    return Answer(job, 202, {"Operation-Location": place})


async def cancel_import(hub: Hub, call: Call) -> Answer:
    return Answer(hub.graph_jobs.cancel(IMPORT, call.name))


async def delete_import(hub: Hub, call: Call) -> Answer:
    hub.graph_jobs.delete(IMPORT, call.name)
    return _DONE


def _list_jobs(kind: str) -> Operation:
    async def list_jobs(hub: Hub, call: Call) -> Answer:
        return page_of(call, hub.graph_jobs.all(kind), "id")

    return list_jobs


def _get_job(kind: str) -> Operation:
    async def get_job(hub: Hub, call: Call) -> Answer:
        return Answer(hub.graph_jobs.get(kind, call.name))

    return get_job


def _at(text: str, operation: Operation) -> tuple[str, tuple[str, ...], Operation]:
    verb, path = text.split()
    return verb, tuple(path.split("/")[1:]), operation


OPERATIONS = (
    _at("POST /models", add_models),
    _at("GET /models", list_models),
    _at("GET /models/*", get_model),
    _at("PATCH /models/*", update_model),
    _at("DELETE /models/*", delete_model),
    _at("PUT /digitaltwins/*", put_twin),
    _at("GET /digitaltwins/*", get_twin),
    _at("PATCH /digitaltwins/*", patch_twin),
    _at("DELETE /digitaltwins/*", delete_twin),
    _at("GET /digitaltwins/*/components/*", get_component),
    _at("PATCH /digitaltwins/*/components/*", patch_component),
    _at("PUT /digitaltwins/*/relationships/*", put_relationship),
    _at("GET /digitaltwins/*/relationships/*", get_relationship),
    _at("PATCH /digitaltwins/*/relationships/*", patch_relationship),
    _at("DELETE /digitaltwins/*/relationships/*", delete_relationship),
    _at("GET /digitaltwins/*/relationships", list_relationships),
    _at("GET /digitaltwins/*/incomingrelationships", list_incoming),
    _at("POST /digitaltwins/*/telemetry", publish),
    _at("POST /digitaltwins/*/components/*/telemetry", publish),
    _at("PUT /eventroutes/*", put_route),
    _at("GET /eventroutes/*", get_route),
    _at("GET /eventroutes", list_routes),
    _at("DELETE /eventroutes/*", delete_route),
    _at("POST /query", query),
    _at("PUT /jobs/imports/*", begin_import),
    _at("GET /jobs/imports/*", _get_job(IMPORT)),
    _at("GET /jobs/imports", _list_jobs(IMPORT)),
    _at("DELETE /jobs/imports/*", delete_import),
    _at("POST /jobs/imports/*/cancel", cancel_import),
    _at("PUT /jobs/deletions/*", begin_deletion),
    _at("GET /jobs/deletions/*", _get_job(DELETION)),
    _at("GET /jobs/deletions", _list_jobs(DELETION)),
)


def find_operation(
    verb: str, segments: tuple[str, ...]
) -> tuple[Operation | None, tuple[str, ...], bool]:
    """Returns: the operation, the names in the path, and whether the path exists at all."""
    exists = False
    for wanted, path, operation in OPERATIONS:
        if len(path) == len(segments) and all(
            bool(name) if part == "*" else part == name.lower()
            for part, name in zip(path, segments, strict=True)
        ):
            exists = True
            if wanted == verb:
                pairs = zip(path, segments, strict=True)
                return operation, tuple(name for part, name in pairs if part == "*"), True
    return None, (), exists
