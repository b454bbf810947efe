"""REST operations on jobs: scheduled ones (`/jobs/v2`), and imports and exports (`/jobs`).

Whether the service answers a query of jobs with the object of its specification, as here, or with
a bare list is not confirmed; azure-iot-hub reads the object.
Source: REST specification of the IoT Hub service, 2021-04-12, "Jobs".
"""

from __future__ import annotations

from host_tools.hub.endpoints.rest_call import Answer, Call
from host_tools.hub.state.hub import Hub


async def create_job(hub: Hub, call: Call) -> Answer:
    return Answer(hub.jobs.create(call.names[0], call.json_object()))


async def get_job(hub: Hub, call: Call) -> Answer:
    return Answer(hub.jobs.get(call.names[0]))


async def cancel_job(hub: Hub, call: Call) -> Answer:
    return Answer(hub.jobs.cancel(call.names[0]))


async def query_jobs(hub: Hub, call: Call) -> Answer:
    found = hub.jobs.find(call.query.get("jobType"), call.query.get("jobStatus"))
    return Answer({"type": "jobResponse", "items": [*found], "continuationToken": None})


async def create_transfer(hub: Hub, call: Call) -> Answer:
    return Answer(hub.transfers.create(call.json_object()))


async def list_transfers(hub: Hub, call: Call) -> Answer:
    return Answer([*hub.transfers.all()])


async def get_transfer(hub: Hub, call: Call) -> Answer:
    return Answer(hub.transfers.get(call.names[0]))


async def cancel_transfer(hub: Hub, call: Call) -> Answer:
    hub.transfers.cancel(call.names[0])
    return Answer(status=204)
