"""The line of statistics. In the heap only while it is made: once an hour, and at the end."""

import json


def line(app, heap):
    """Counters and states of `app`, for people and programs that watch the console; `heap`: the
    bytes that live."""
    found = {"heap": heap, "uptime_s": app.clock.uptime_s()}
    if app.cloud is not None:
        _add_cloud(found, app.cloud.session, app.cloud.device)
    return "stats " + json.dumps(found)


def _add_cloud(found, session, device):
    outbox, exchange = session.outbox, session.exchange
    acked = outbox.telemetry.acked
    found["state"] = session.state
    found["telemetry_sent"] = outbox.accepted
    found["telemetry_acked"] = acked
    found["telemetry_dropped"] = outbox.dropped
    found["telemetry_waiting"] = outbox.accepted - acked - outbox.dropped
    found["desired_acked"] = device.accepted_count
    found["desired_rejected"] = device.rejected_count
    found["commands_answered"] = exchange.commands
    found["c2d_completed"] = exchange.messages
    found["reconnects"] = max(0, session.connects - 1)
