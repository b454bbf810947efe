"""The provisioning service's own REST interface: enrolments and registrations.

Source: Azure IoT Hub Device Provisioning Service REST API, service, 2021-10-01.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header, parse_number
from host_tools.hub.provisioning.enrollments import Enrollment, Enrollments
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub

_MAX_ITEMS = 1000
_SIZE, _CONTINUATION = "x-ms-max-item-count", "x-ms-continuation"
_QUERY = re.compile(r"\s*SELECT\s+\*\s+FROM\s+\w+\s*", re.IGNORECASE)


class EnrollmentOperations:
    """Of individual enrolments, or of groups: `find` says which."""

    def __init__(self, find: Callable[[Hub], Enrollments]) -> None:
        self._find = find

    async def get(self, hub: Hub, call: Call) -> Answer:
        return _answer(self._find(hub).get(call.names[0]))

    async def put(self, hub: Hub, call: Call) -> Answer:
        return _answer(self._find(hub).put(call.names[0], call.json_object(), call.if_match))

    async def delete(self, hub: Hub, call: Call) -> Answer:
        self._find(hub).delete(call.names[0], call.if_match)
        return Answer(status=204)

    async def attestation(self, hub: Hub, call: Call) -> Answer:
        found = self._find(hub).get(call.names[0])
        return Answer(found.attestation.document(with_secrets=True))

    async def query(self, hub: Hub, call: Call) -> Answer:
        _check_query(call)
        return _page(call, [each.document() for each in self._find(hub).all()])


individual = EnrollmentOperations(lambda hub: hub.provisioning.individual)
groups = EnrollmentOperations(lambda hub: hub.provisioning.groups)


async def get_registration(hub: Hub, call: Call) -> Answer:
    return Answer(hub.provisioning.get(call.names[0]))


async def delete_registration(hub: Hub, call: Call) -> Answer:
    hub.provisioning.delete(call.names[0])
    return Answer(status=204)


async def query_registrations(hub: Hub, call: Call) -> Answer:
    return _page(call, hub.provisioning.of_group(call.names[0]))


def _answer(enrollment: Enrollment) -> Answer:
    return Answer(enrollment.document(), headers=etag_header(enrollment.etag))


def _check_query(call: Call) -> None:
    text = call.json_object().get("query")
    if not isinstance(text, str) or not _QUERY.fullmatch(text):
        raise argument_invalid("Enrolments are listed by SELECT * FROM enrollments, no more.")


def _page(call: Call, found: Sequence[JsonObject]) -> Answer:
    size = parse_number(call.headers.get(_SIZE), _SIZE, _MAX_ITEMS)
    if not 1 <= size <= _MAX_ITEMS:
        raise argument_invalid(f"{_SIZE} is not in 1 to {_MAX_ITEMS}.")
    first = parse_number(call.headers.get(_CONTINUATION), _CONTINUATION, 0)
    items: list[Json] = [*found[first : first + size]]
    more = first + size < len(found)
    return Answer(items, headers={_CONTINUATION: str(first + size)} if more else {})
