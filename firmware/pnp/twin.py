"""The device twin: which desired values are applied, how each is answered, what is reported.

After each connect the whole twin is read and rules, even when its `$version` fell (the device
was deleted and created again); from then on patches count whose `$version` is above the last.
Of a writable property's desired value there are these cases:

1. it has the model's type and the application takes it: 200 with the value then in use;
2. it has another type, or the application rejects it: 400 with the value in use;
3. the application fails: 500 with the value in use;
4. it is null, or the twin has none: the default is restored, 203 with version 0;
5. it stands under a name that is unknown, read-only or no object where a component belongs:
   left alone, and logged once.

What is to be told waits as marks on the properties, not as messages: it cannot overflow, a
value that changes twice is told once, and a patch whose answer never came is told again. How
soon, is the session's affair.

Sources: Microsoft, "IoT Plug and Play conventions" (acknowledgement codes; `__t` marks a
component); "Understand and use device twins in IoT Hub" ("Device reconnection flow").
"""

import json

from micropython import const

from pnp.component import Component, Rejected, named
from pnp.schema import fault

_ACCEPTED = const(200)
_BY_DEVICE = const(203)
_INVALID = const(400)
_FAILED = const(500)

# Answers to a reported patch. Malformed, too large: the same would be refused again
_TAKEN = const(204)
_HOPELESS = const((400, 413))

# Reasons travel in every acknowledgement; they are words, not essays
_LONGEST_REASON = const(80)
# A hub counts versions far below; a larger one could only be meant to shut out what follows
_HIGHEST_VERSION = const(1 << 52)
# Names that were left alone are remembered up to this many, so that a flood of them is silent
_MOST_STRANGERS = const(16)
_LONGEST_STRANGER = const(40)

# What `json` writes around the properties of a component, `"": {"__t": "c", }, `, around one of
# them, `"": , `, and around all, `{}`
_COMPONENT_BYTES = const(20)
_PROPERTY_BYTES = const(6)
_PATCH_BYTES = const(2)
# The longest name that a component may have. Source: DTDL v2, "name"
_LONGEST_NAME = const(64)


class Twin:
    """The twin of a device with `interfaces`, a list of (component name, Interface), root first.

    `settings.report_bytes`: the largest reported patch as JSON, which with its topic must fit the
    session's send buffer.
    """

    def __init__(self, interfaces, log, settings):
        self.components = [Component(name, interface) for name, interface in interfaces]
        self.desired_version = 0  # the one that was applied last
        self.accepted_count = 0  # desired values answered 200
        self.rejected_count = 0  # and 400
        self.log = log
        self.settings = settings
        self._strangers = []
        self._is_waiting = False  # for the answer to the patch that is out

    def component(self, name=""):
        """The Component of that name, the root for ""; None if the model has none."""
        return named(self.components, name)

    # ---- desired

    def on_twin(self, document):
        """Take the whole twin: apply what is desired, and find out what is left to report."""
        self._end(True)
        desired, reported = _section(document, "desired"), _section(document, "reported")
        version = _version(desired)
        if version:
            self.desired_version = version
            self._settle(self.components[0], desired, version)
        else:
            self.log.error("a twin without a desired $version: nothing applied")
        for component in self.components:
            name = component.name
            if version:
                section = desired.get(name, {}) if name else desired
                if isinstance(section, dict):
                    self._restore_missing(component, section, version)
            held = _section(reported, name) if name else reported
            for entry in component.properties:
                entry.compare(held.get(entry.name))

    def on_desired(self, patch):
        """Take a patch of the desired section, if it is newer than what was applied."""
        version = _version(patch)
        if version > self.desired_version:
            self.desired_version = version
            self._settle(self.components[0], patch, version)
        elif version and version == self.desired_version:
            self._repeat(patch, version)
        else:
            self.log.debug("desired %d is old: %d is applied", version, self.desired_version)

    def _settle(self, component, section, version):
        """Apply what `section` has for `component`, and at the root for all the others."""
        for name in section:
            value = section[name]
            below = self.component(name) if name and not component.name else None
            entry = named(component.properties, name)
            if name in ("$version", "__t"):
                pass
            elif below is not None and value is None:
                self._restore_missing(below, {}, version)
            elif below is not None and isinstance(value, dict):
                self._settle(below, value, version)
            elif entry is None or entry.apply is None:
                self._leave(name)
            elif value is None:
                self._apply(entry, entry.default, _BY_DEVICE, version)
            else:
                self._apply(entry, value, _ACCEPTED, version)

    def _restore_missing(self, component, section, version):
        for entry in component.properties:
            if entry.apply is not None and entry.name not in section:
                self._apply(entry, entry.default, _BY_DEVICE, version)

    def _apply(self, entry, value, code, version):
        """Apply `value`, unless its type is wrong, and note the acknowledgement."""
        reason = "ok" if code == _ACCEPTED else "default"
        try:
            unfit = fault(entry.schema, value)
            if unfit:
                raise Rejected(unfit)
            entry.value = entry.apply(value)
        except Rejected as refusal:
            if refusal.value_in_use is not None:
                entry.value = refusal.value_in_use
            code, reason = _INVALID, refusal.reason
        except Exception as error:  # noqa: BLE001 - whatever the application raises is answered
            self.log.error("property %s failed: %r", entry.name, error)
            code, reason = _FAILED, "failure"
        if code == _BY_DEVICE:
            version = 0  # no version ever asked for a default
        # What a reconnect brings again is not counted again
        if entry.code != code or entry.version != version:
            self.accepted_count += code == _ACCEPTED
            self.rejected_count += code == _INVALID
        entry.code = code
        entry.version = version
        entry.reason = reason[:_LONGEST_REASON]
        entry.is_dirty = True

    def _repeat(self, patch, version):
        """A patch that came twice has no second effect, but its answer is given again."""
        for component in self.components:
            section = _section(patch, component.name) if component.name else patch
            for entry in component.properties:
                if entry.code and entry.name in section and entry.version in (0, version):
                    entry.is_dirty = True

    def _leave(self, name):
        name = ("%s" % (name,))[:_LONGEST_STRANGER]
        if name not in self._strangers and len(self._strangers) < _MOST_STRANGERS:
            self._strangers.append(name)
            self.log.warning("desired %r is unknown or read-only: left alone", name)

    # ---- reported

    def next_report(self):
        """A patch (dict) of at most `report_bytes` as JSON, or None. Frugal if None."""
        if not self._is_waiting:
            for component in self.components:
                for entry in component.properties:
                    if entry.is_dirty:
                        return self._build_report()
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
        self._is_waiting = False
        for component in self.components:
            for entry in component.properties:
                if entry.is_out:
                    entry.is_out = False
                    entry.is_dirty = entry.is_dirty or again

    def _build_report(self):
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
        self._is_waiting = bool(report)
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


def _section(root, name):
    """The part of a twin or of a patch under `name`; {} if it is missing or malformed."""
    section = root.get(name) if isinstance(root, dict) else None
    return section if isinstance(section, dict) else {}


def _version(section):
    """The `$version` of a section or patch, 0 if it has none that a hub could have counted."""
    version = section.get("$version") if isinstance(section, dict) else None
    return version if type(version) is int and 0 < version <= _HIGHEST_VERSION else 0
