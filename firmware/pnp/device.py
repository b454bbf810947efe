"""The Plug and Play device: what the session calls for twin, commands and messages.

The methods `on_...` and `next_report` are called from within the session's `step()` and return
at once. None of them raises for what the hub sent; only a callback for messages may, and then
the message is not acknowledged.

A command is `name` of the root or `component*name`, and always gets an answer:

1. 200 with the response that the model names;
2. 400: the request is missing, has another type, or the application rejects it;
3. 404: no such component, or no such command in it;
4. 500: the application cannot do it now, or failed. What went wrong stays in our log: only
   Unavailable's text is meant for a caller.

Source: Microsoft, "IoT Plug and Play conventions", "Commands".
"""

from micropython import const

from pnp.component import Rejected, Unavailable
from pnp.schema import fault
from pnp.twin import Twin

_DONE = const(200)
_INVALID = const(400)
_UNKNOWN = const(404)
_FAILED = const(500)

_LONGEST_NAME = const(64)


class Device(Twin):
    """Bind its components before the session starts.

    `settings.logged_bytes`: how much of a message's data, and of its properties, is logged.
    """

    message_callback = None  # callback(payload: bytes, properties: dict)

    def on_online(self):
        """The session is through with what a connect needs."""
        self.log.info("announced as %s", self.components[0].interface.dtmi)

    def on_message(self, payload, properties):
        """A message from the cloud; it counts as handled when this returns."""
        longest = self.settings.logged_bytes
        self.log.info(
            "message of %d bytes: %s with %s",
            len(payload),
            _shown(bytes(payload[:longest]), longest),
            _shown(properties, longest),
        )
        if self.message_callback is not None:
            self.message_callback(payload, properties)

    def on_command(self, name, payload):
        """(status, response) for the command `name`; `payload` is parsed JSON or None.

        The response is a JSON value, None where the model names none; that of an error is an
        object with the reason under `error`.
        """
        owner, star, command = name.partition("*")
        if not star:
            owner, command = "", name
        component = self.component(owner) if owner or not star else None
        if component is None or command not in component.commands:
            self.log.warning("unknown command %r", name[:_LONGEST_NAME])
            return _UNKNOWN, {"error": "unknown command"}
        status, reason = _FAILED, "the command failed"
        try:
            return _DONE, _run(component, command, payload)
        except Rejected as refusal:
            status, reason = _INVALID, refusal.reason
        except Unavailable as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever the application raises is answered
            self.log.error("command %s failed: %r", name, error)
        return status, {"error": reason}


def _run(component, command, payload):
    request, response = component.interface.commands[command]
    reason = None if request is None else fault(request, payload)
    if reason:
        raise Rejected(reason)
    result = component.commands[command](payload)
    if response is None:
        return None
    if fault(response, result):
        raise ValueError("its answer is not the model's")
    return result


def _shown(value, longest):
    """`value` in printable characters (`repr` escapes what is not), cut to `longest`."""
    text = repr(value)
    return text if len(text) <= longest else text[:longest] + "..."
