"""The components of the device: what the model has them be, and what the application bound to it.

`Interface` is a plain holder, so that `pnp.model`, which reads DTDL, can be forgotten.
"""

from micropython import const

from pnp.schema import fault

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


class Interface:
    """What one DTDL interface declares, with all that it extends.

    `properties` {name: (schema, is writable)}, `commands` {name: (request schema or None,
    response schema or None)}, `telemetry` {name: schema}, `components` [(name, DTMI or DTDL)].
    For schemas see `pnp.schema`.
    """

    def __init__(self, dtmi):
        self.dtmi = dtmi
        self.properties = {}
        self.commands = {}
        self.telemetry = {}
        self.components = []


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

    def compare(self, held):
        """Decide from `held`, the reported section's value or None, whether to tell anything."""
        self.is_out = False
        if self.apply is None:
            self.is_dirty = self.value is not None and not is_same(held, self.value)
            return
        self.is_dirty = self.code != 0
        if isinstance(held, dict):
            is_held = is_same(held.get("ac"), self.code) and is_same(held.get("av"), self.version)
            if is_held and is_same(held.get("value"), self.value):
                self.is_dirty = False


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
