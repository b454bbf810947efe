"""What is kept of a model: plain holders, so that the module that reads DTDL can be forgotten."""


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
