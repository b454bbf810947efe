"""The Plug and Play device: its components, its twin, and what the session calls for commands and
messages.

The methods `on_...` and `next_report` are called from within the session's `step()` and return
at once. None of them raises for what the hub sent; only a callback for messages may, and then
the message is not acknowledged.

Sources: Microsoft, "IoT Plug and Play conventions"; "Understand and use device twins in IoT
Hub" ("Device reconnection flow").
"""

import json

from micropython import const

from pnp.schema import fault

# What is answered to a command
_OK = const(200)
_INVALID = const(400)
_UNKNOWN = const(404)
_FAILED = const(500)

# Answers to a reported patch. Malformed, too large: the same would be refused again
_TAKEN = const(204)
_HOPELESS = const((400, 413))

# What `json` writes around the properties of a component, `"": {"__t": "c", }, `, around one of
# them, `"": , `, and around all, `{}`
_COMPONENT_BYTES = const(20)
_PROPERTY_BYTES = const(6)
_PATCH_BYTES = const(2)
# The longest name that a component may have. Source: DTDL v2, "name"
_LONGEST_NAME = const(64)

# How much of an unknown command's name is logged
_LONGEST_COMMAND = const(64)
# A board's floats have 24 bits: what it reported comes back this much off
_FLOAT_PRECISION = const(1e-6)


class Rejected(Exception):
    """A desired value or a command payload that the application refuses; answered 400.

    `reason` is shown to the service. `value_in_use` is what a property keeps; None stands for
    the value that was in use before.
    """

    def __init__(self, reason, value_in_use=None):
        super().__init__(reason)
        self.reason = reason
        self.value_in_use = value_in_use


class Unavailable(Exception):
    """Raised by a command that cannot answer now; its text is shown to the service, with 500."""


class Property:
    """What the hub should hold of a property, and whether it is still to be told:

    1. clean: the hub holds it, or there is nothing to tell yet;
    2. dirty: to be put into the next reported patch;
    3. out: in a patch that waits for its answer. A change meanwhile makes it dirty besides, so
       that the newer value follows; a lost patch makes it dirty again.

    Of one that the service sets, `value` is the one really in use, `apply` and `default` are the
    application's (see `Component.bind_property`), and `version` is the desired version that
    `code` answers, 0 for a value of the device's own.
    """

    apply = default = None
    code = version = 0  # code 0: never settled
    reason = ""
    is_dirty = is_out = False

    def __init__(self, name, schema, value):
        self.name = name
        self.schema = schema
        self.value = value

    def told(self):
        """What belongs under the property's name in a reported patch."""
        if self.apply is None:
            return self.value
        return {"value": self.value, "ac": self.code, "av": self.version, "ad": self.reason}


class Component:
    """`name` is "" for the root; `interface` says which names there are."""

    def __init__(self, name, interface):
        self.name = name
        self.interface = interface
        self.properties = []
        self.commands = {}

    def bind_property(self, name, apply, default, in_use=None):
        """Let the service set the writable property `name`.

        `apply(value)` gets a value that fits the model, and returns the value then in use (it
        may differ, for instance rounded) or raises Rejected(reason, value_in_use). `default` is
        applied when no desired value exists; `in_use` is the value at start, if another.
        """
        schema, is_writable = self.interface.properties[name]
        assert is_writable, "the model has %s read-only" % name
        bound = Property(name, schema, default if in_use is None else in_use)
        bound.apply = apply
        bound.default = default
        self.properties.append(bound)

    def bind_command(self, name, handler):
        """Answer the command `name` by `handler(request)`, which returns the response.

        The handler may raise Rejected(reason) or Unavailable(reason); anything else that it
        raises is answered 500 without a word of it.
        """
        assert name in self.interface.commands, "no command %s in the model" % name
        self.commands[name] = handler

    def report(self, name, value):
        """Report `value` of the read-only property `name`, if it is new.

        Raises ValueError if it does not fit the model.
        """
        schema, is_writable = self.interface.properties[name]
        assert not is_writable, "%s is writable: bind it, then it answers by itself" % name
        reason = fault(schema, value)
        if reason:
            raise ValueError("%s: %s" % (name, reason))
        entry = named(self.properties, name)
        if entry is None:
            entry = Property(name, schema, None)
            self.properties.append(entry)
        if not is_same(value, entry.value):
            entry.value = value
            entry.is_dirty = True


def named(things, name):
    """Which of `things`, components or properties, has that name; None if none."""
    for thing in things:
        if thing.name == name:
            return thing
    return None


def is_same(a, b):
    """Whether the hub would hold the same for both; floats to a board's precision."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(b, float):
        a, b = b, a
    if isinstance(a, float) and isinstance(b, (int, float)):
        # Compared, not subtracted: `b` may be an integer too large for a float
        slack = _FLOAT_PRECISION * max(1.0, abs(a))
        return a - slack <= b <= a + slack
    return a == b


class Twin:
    """The twin of a device with `interfaces`, a list of (component name, Interface), root first.

    `apply` takes what the service desires: it is `pnp.desired.apply` or, to save heap, what loads
    that for each change; between two of them lie hours.

    What is to be told waits as marks on the properties, not as messages: it cannot overflow, a
    value that changes twice is told once, and a patch whose answer never came is told again. How
    soon, is the session's affair.

    `settings.report_bytes`: the largest reported patch as JSON, which with its topic must fit the
    session's send buffer.
    """

    def __init__(self, interfaces, log, settings, apply):
        self._apply = apply
        self.components = [Component(name, interface) for name, interface in interfaces]
        self.desired_version = 0  # the one that was applied last
        self.accepted_count = 0  # desired values answered 200
        self.rejected_count = 0  # and 400
        self.log = log
        self.settings = settings
        self.strangers = []  # desired names that were left alone
        self.is_out = False  # for the answer to the patch that is out

    def component(self, name=""):
        """The Component of that name, the root for ""; None if the model has none."""
        return named(self.components, name)

    # ---- desired

    def on_twin(self, document):
        """Take the whole twin: apply what is desired, and find out what is left to report."""
        self._apply(self, document, True)

    def on_desired(self, patch):
        """Take a patch of the desired section, if it is newer than what was applied."""
        self._apply(self, patch, False)

    # ---- reported

    def next_report(self):
        """A patch (dict) of at most `report_bytes` as JSON, or None. Frugal if None."""
        if not self.is_out:
            for component in self.components:
                for entry in component.properties:
                    if entry.is_dirty:
                        return self._build()
        return None

    def on_reported(self, status):
        """The hub answered the patch that is out."""
        if status in _HOPELESS:
            # The next reading of the twin tells what is missing then
            self.log.error("the hub refused a reported patch with %d: dropped", status)
        self._end(status != _TAKEN and status not in _HOPELESS)

    def on_report_lost(self):
        """No answer will come to the patch that is out: tell it again."""
        self._end(True)

    def _end(self, again):
        self.is_out = False
        for component in self.components:
            for entry in component.properties:
                if entry.is_out:
                    entry.is_out = False
                    entry.is_dirty = entry.is_dirty or again

    def _build(self):
        report = {}
        room = self.settings.report_bytes - _PATCH_BYTES
        for component in self.components:
            name = component.name
            section = {"__t": "c"} if name else report
            start = left = room - len(name) - _COMPONENT_BYTES if name else room
            for entry in component.properties:
                if entry.is_dirty:
                    left -= self._take(entry, section, left)
            if left < start:
                room = left
                if name:
                    report[name] = section
        self.is_out = bool(report)
        return report or None

    def _take(self, entry, section, room):
        """Move a property that fits into `room` bytes to `section`; return its bytes."""
        value = entry.told()
        size = len(json.dumps(value).encode()) + len(entry.name) + _PROPERTY_BYTES
        if size > self.settings.report_bytes - _PATCH_BYTES - _COMPONENT_BYTES - _LONGEST_NAME:
            self.log.error("property %s has %d bytes: too large to report", entry.name, size)
            entry.is_dirty = False
            return 0
        if size > room:
            return 0
        section[entry.name] = value
        entry.is_dirty = False
        entry.is_out = True
        return size


class Device(Twin):
    """Bind its components before the session starts.

    A command is `name` of the root or `component*name`, and always gets an answer:

    1. 200 with the response that the model names;
    2. 400: the request is missing, has another type, or the application rejects it;
    3. 404: no such component, or no such command in it;
    4. 500: the application cannot do it now, or failed. What went wrong stays in our log: only
       Unavailable's text is meant for a caller.

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
        # A name without a star is all command
        owner, star, command = name.rpartition("*")
        component = self.component(owner) if owner or not star else None
        if component is None or command not in component.commands:
            self.log.warning("unknown command %r", name[:_LONGEST_COMMAND])
            return _UNKNOWN, {"error": "unknown command"}
        status, reason = _FAILED, "the command failed"
        try:
            return _OK, _run(component, command, payload)
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
