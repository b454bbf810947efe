"""The components of the device: what the model has them be, and what the application bound to it.

`Interface` and `Model` are plain holders, so that `pnp.model`, which reads DTDL, can be forgotten.
"""

from pnp.property import Property, WritableProperty
from pnp.schema import fault

# How the device is connected is reported at the root though the sample models do not name it,
# because fleets are queried for it: the one exception to "names come from the model".
_OUTSIDE_MODEL = {"connectivity": ("string", False)}


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


class Model:
    """`dtmi`, and `components`: a list of (name, Interface), the root first under ""."""

    def __init__(self, dtmi, components):
        self.dtmi = dtmi
        self.components = components

    def interface(self, component):
        """The interface of `component` ("" = root), or None."""
        for name, interface in self.components:
            if name == component:
                return interface
        return None


class Component:
    """`name` is "" for the root; `interface` says which names there are."""

    def __init__(self, name, interface, log):
        self.name = name
        self.interface = interface
        self.properties = []
        self.commands = {}
        self._log = log

    def bind_property(self, name, apply, default, in_use=None):
        """Let the service set the writable property `name`.

        `apply(value)` gets a value that fits the model, and returns the value then in use (it
        may differ, for instance rounded) or raises Rejected(reason, value_in_use). `default` is
        applied when no desired value exists; `in_use` is the value at start, if another.
        """
        schema, is_writable = self.interface.properties[name]
        assert is_writable, "the model has %s read-only" % name
        in_use = default if in_use is None else in_use
        bound = WritableProperty(name, schema, apply, default, in_use, self._log)
        self.properties.append(bound)

    def bind_command(self, name, handler):
        """Answer the command `name` by `handler(request)`, which returns the response.

        The handler may raise Rejected(reason), or Unavailable(reason) of `pnp.commands`; anything
        else that it raises is answered 500 without a word of it.
        """
        assert name in self.interface.commands, "no command %s in the model" % name
        self.commands[name] = handler

    def report(self, name, value):
        """Report `value` of the read-only property `name`, if it is new.

        Raises ValueError if it does not fit the model.
        """
        entry = self.find(name)
        if entry is None:
            entry = self._declared(name)
            self.properties.append(entry)
        assert not entry.is_writable, "%s is writable: it answers by itself" % name
        reason = fault(entry.schema, value)
        if reason:
            raise ValueError("%s: %s" % (name, reason))
        entry.set(value)

    def find(self, name):
        """The property of that name which is bound or was reported, or None."""
        for entry in self.properties:
            if entry.name == name:
                return entry
        return None

    def _declared(self, name):
        declared = self.interface.properties
        if name not in declared and self.name == "":
            declared = _OUTSIDE_MODEL
        schema, is_writable = declared[name]
        assert not is_writable, "%s is writable: bind it" % name
        return Property(name, schema)
