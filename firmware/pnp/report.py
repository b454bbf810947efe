"""Reported patches: what the hub is still to be told, put together when there is room for it.

What is to be told waits as marks on the properties, not as messages: it cannot overflow, a
value that changes twice is told once, and a patch whose answer never came is told again. How
soon, is the session's affair.

Source: Microsoft, "IoT Plug and Play conventions" (`__t` marks a component).
"""

import json

from micropython import const

# What `json` writes around the properties of a component, `"": {"__t": "c", }, `, around one of
# them, `"": , `, and around all, `{}`
_COMPONENT_BYTES = const(20)
_PROPERTY_BYTES = const(6)
_PATCH_BYTES = const(2)
# The longest name that a component may have. Source: DTDL v2, "name"
_LONGEST_NAME = const(64)
_TAKEN = const(204)
# Malformed, too large: the same patch would be refused again
_HOPELESS = const((400, 413))


class Reporter:
    """Reports the properties of `components`, a list of Component; one patch at a time."""

    def __init__(self, components, log, settings):
        self._components = components
        self._log = log
        self._settings = settings
        self._is_waiting = False  # for the answer to the patch that is out

    def next_report(self):
        """A patch (dict) of at most `settings.report_bytes` as JSON, or None. Frugal if None."""
        if self._is_waiting or not self._has_dirty():
            return None
        report = {}
        room = self._settings.report_bytes - _PATCH_BYTES
        for component in self._components:
            room -= self._take(component, report, room)
        self._is_waiting = bool(report)
        return report or None

    def on_reported(self, status):
        """The hub answered the patch that is out."""
        if status in _HOPELESS:
            # The next reading of the twin tells what is missing then
            self._log.error("the hub refused a reported patch with %d: dropped", status)
        self._end(again=status != _TAKEN and status not in _HOPELESS)

    def on_report_lost(self):
        """No answer will come to the patch that is out: tell it again."""
        self._end(again=True)

    def _end(self, again):
        self._is_waiting = False
        for component in self._components:
            for entry in component.properties:
                if entry.is_out:
                    entry.is_out = False
                    entry.is_dirty = entry.is_dirty or again

    def _has_dirty(self):
        for component in self._components:
            for entry in component.properties:
                if entry.is_dirty:
                    return True
        return False

    def _take(self, component, report, room):
        """Move what fits into `room` bytes from `component` to `report`; return its bytes."""
        section = {}
        frame = len(component.name) + _COMPONENT_BYTES if component.name else 0
        used = frame
        for entry in component.properties:
            if entry.is_dirty:
                used += self._take_entry(entry, section, room - used)
        if not section:
            return 0
        if component.name:
            section["__t"] = "c"
            report[component.name] = section
        else:
            report.update(section)
        return used

    def _take_entry(self, entry, section, room):
        value = entry.report()
        size = len(json.dumps(value).encode()) + len(entry.name) + _PROPERTY_BYTES
        if size > self._settings.report_bytes - _PATCH_BYTES - _COMPONENT_BYTES - _LONGEST_NAME:
            self._log.error("property %s has %d bytes: too large to report", entry.name, size)
            entry.is_dirty = False
            return 0
        if size > room:
            return 0
        section[entry.name] = value
        entry.is_dirty = False
        entry.is_out = True
        return size
