"""The device twin: which desired values are applied, and how each of them is answered.

After each connect the whole twin is read and rules, even when its `$version` fell (the device
was deleted and created again); from then on patches count whose `$version` is above the last.
Of a writable property's desired value there are these cases:

1. it has the model's type and the application takes it: 200 with the value then in use;
2. it has another type, or the application rejects it: 400 with the value in use;
3. the application fails: 500 with the value in use;
4. it is null, or the twin has none: the default is restored, 203 with version 0;
5. it stands under a name that is unknown, read-only or no object where a component belongs:
   left alone, and logged once.

Sources: Microsoft, "IoT Plug and Play conventions"; "Understand and use device twins in IoT
Hub" ("Device reconnection flow").
"""

from micropython import const

from pnp.property import ACCEPTED, INVALID

# A hub counts versions far below; a larger one could only be meant to shut out what follows
_HIGHEST_VERSION = const(1 << 52)
# Names that were left alone are remembered up to this many, so that a flood of them is silent
_MOST_STRANGERS = const(16)
_LONGEST_NAME = const(40)


class Twin:
    """The twin of `components`, a list of Component with the root first."""

    def __init__(self, components, log):
        self.version = 0  # the desired version that was applied last
        self.accepted_count = 0  # desired values answered 200
        self.rejected_count = 0  # and 400
        self._components = components
        self._log = log
        self._strangers = []

    def on_twin(self, document):
        """Take the whole twin: apply what is desired, and find out what is left to report."""
        if not isinstance(document, dict):
            document = {}
        self._reconcile(document.get("desired"))
        reported = document.get("reported")
        for component in self._components:
            held = _section(reported, component.name)
            for entry in component.properties:
                entry.compare(held.get(entry.name))

    def _reconcile(self, desired):
        """Settle every writable property, also those of which `desired` says nothing."""
        version = _version(desired)
        if version == 0:
            self._log.error("twin without a desired section and $version: nothing applied")
            return
        self.version = version
        self._settle_all(desired, version)
        for component in self._components:
            section = desired.get(component.name, {}) if component.name else desired
            if isinstance(section, dict):
                self._restore_missing(component, section, version)

    def _restore_missing(self, component, section, version):
        for entry in component.properties:
            if entry.is_writable and entry.name not in section:
                entry.restore_default(version)

    def on_desired(self, patch):
        """Take a patch of the desired section, if it is newer than what was applied."""
        version = _version(patch)
        if version > self.version:
            self.version = version
            self._settle_all(patch, version)
        elif version and version == self.version:
            self._repeat(patch, version)
        else:
            self._log.debug("desired patch %d is old: %d was applied", version, self.version)

    def _settle_all(self, desired, version):
        root = self._components[0]
        for name in desired:
            value = desired[name]
            component = self._component(name)
            if name == "$version":
                continue
            if component is None:
                self._settle(root, name, value, version)
            elif value is None:
                self._restore_missing(component, {}, version)
            elif isinstance(value, dict):
                self._settle_component(component, value, version)
            else:
                self._leave(name, "no object")

    def _settle_component(self, component, section, version):
        for name in section:
            if name != "__t":
                self._settle(component, name, section[name], version)

    def _settle(self, component, name, value, version):
        entry = component.find(name)
        if entry is None:
            self._leave(name, "unknown")
        elif not entry.is_writable:
            self._leave(name, "read-only")
        elif value is None:
            entry.restore_default(version)
        else:
            self._accept(entry, value, version)

    def _accept(self, entry, value, version):
        """Apply a value; what a reconnect brings again is not counted again."""
        known = entry.code, entry.version
        entry.accept(value, version)
        if (entry.code, entry.version) == known:
            return
        if entry.code == ACCEPTED:
            self.accepted_count += 1
        elif entry.code == INVALID:
            self.rejected_count += 1

    def _repeat(self, patch, version):
        """A patch that came twice has no second effect, but its answer is given again."""
        for component in self._components:
            section = _section(patch, component.name)
            for entry in component.properties:
                if entry.is_writable and entry.name in section:
                    entry.repeat(version)

    def _component(self, name):
        for component in self._components:
            if name and component.name == name:
                return component
        return None

    def _leave(self, name, reason):
        name = ("%s" % (name,))[:_LONGEST_NAME]
        if name not in self._strangers and len(self._strangers) < _MOST_STRANGERS:
            self._strangers.append(name)
            self._log.warning("desired %r is left alone: %s", name, reason)


def _section(root, component):
    """The part of a desired or reported section that belongs to `component`; {} if malformed."""
    section = root
    if component and isinstance(root, dict):
        section = root.get(component)
    return section if isinstance(section, dict) else {}


def _version(section):
    """The `$version` of a section or patch, 0 if it has none that a hub could have counted."""
    version = section.get("$version") if isinstance(section, dict) else None
    if isinstance(version, bool) or not isinstance(version, int):
        return 0
    return version if 0 < version <= _HIGHEST_VERSION else 0
