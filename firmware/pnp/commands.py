"""Commands: `name` of the root or `component*name`, and always an answer.

1. 200 with the response that the model names;
2. 400: the request is missing, has another type, or the application rejects it;
3. 404: no such component, or no such command in it;
4. 500: the application cannot do it now, or failed. What went wrong stays in our log: only
   Unavailable's text is meant for a caller.

Source: Microsoft, "IoT Plug and Play conventions", "Commands".
"""

from micropython import const

from pnp.property import Rejected
from pnp.schema import fault

_DONE = const(200)
_INVALID = const(400)
_UNKNOWN = const(404)
_FAILED = const(500)

_LONGEST_NAME = const(64)


class Unavailable(Exception):
    """Raised by a handler that cannot answer now; its text is shown to the service, with 500."""


def answer(components, name, request, log):
    """(status, response): the response is a JSON value, None where the model names none.

    `request` is a JSON value, None for an empty payload. An error's response is an object with
    the reason under `error`.
    """
    component_name, command = _split(name)
    for component in components:
        if component.name == component_name and command in component.commands:
            return _run(component, command, request, log)
    log.warning("unknown command %r", name[:_LONGEST_NAME])
    return _error(_UNKNOWN, "unknown command")


def _split(name):
    """("component", "command"), or ("", "command") for the root; None for an empty component."""
    if "*" not in name:
        return "", name
    component, command = name.split("*", 1)
    return component or None, command


def _run(component, command, request, log):
    request_schema, response_schema = component.interface.commands[command]
    if request_schema is not None:
        reason = fault(request_schema, request)
        if reason:
            return _error(_INVALID, reason)
    try:
        response = component.commands[command](request)
    except Rejected as refusal:
        return _error(_INVALID, refusal.reason)
    except Unavailable as reason:
        return _error(_FAILED, str(reason))
    except Exception as error:  # noqa: BLE001 - whatever the application raises is answered
        log.error("command %s*%s failed: %r", component.name, command, error)
        return _error(_FAILED, "the command failed")
    if response_schema is None:
        return _DONE, None
    if fault(response_schema, response):
        log.error("command %s*%s: its answer is not the model's", component.name, command)
        return _error(_FAILED, "the command failed")
    return _DONE, response


def _error(status, reason):
    return status, {"error": reason}
