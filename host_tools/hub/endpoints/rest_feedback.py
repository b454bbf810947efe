"""REST operations on feedback. The lock token of a batch is its ETag.

Source: REST specification of the IoT Hub service, 2021-04-12.
"""

from __future__ import annotations

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header
from host_tools.hub.state.documents import iso_time
from host_tools.hub.state.hub import Hub


async def receive_feedback(hub: Hub, call: Call) -> Answer:
    batch = hub.feedback.next()
    if batch is None:
        return Answer(status=204)
    headers = {
        **etag_header(batch.lock),
        "iothub-userid": hub.host_name,
        "iothub-enqueuedtime": iso_time(batch.enqueued_s),
    }
    return Answer([*batch.records], headers=headers)


async def complete_feedback(hub: Hub, call: Call) -> Answer:
    hub.feedback.complete(call.names[0])
    return Answer(status=204)


async def abandon_feedback(hub: Hub, call: Call) -> Answer:
    hub.feedback.abandon(call.names[0])
    return Answer(status=204)
