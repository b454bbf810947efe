"""What the service desires: applied to the properties of a `pnp.device.Twin`, and acknowledged.

After each connect the whole twin is read and rules, even when its `$version` fell (the device
was deleted and created again); from then on patches count whose `$version` is above the last.
Of a writable property's desired value there are these cases:

1. it has the model's type and the application takes it: 200 with the value then in use;
2. it has another type, or the application rejects it: 400 with the value in use;
3. the application fails: 500 with the value in use;
4. it is null, or the twin has none: the default is restored, 203 with version 0;
5. it stands under a name that is unknown, read-only or no object where a component belongs:
   left alone, and logged once.

Sources: Microsoft, "IoT Plug and Play conventions"; "Understand and use device twins in IoT Hub"
("Device reconnection flow").
"""

from micropython import const

from pnp.device import Rejected, is_same, named
from pnp.schema import fault

# What is answered to a desired value
_OK = const(200)
_BY_DEVICE = const(203)
_INVALID = const(400)
_FAILED = const(500)

# Reasons travel in every acknowledgement; they are words, not essays
_LONGEST_REASON = const(80)
# A hub counts versions far below; a larger one could only be meant to shut out what follows
_HIGHEST_VERSION = const(1 << 52)
# Names that were left alone are remembered up to this many, so that a flood of them is silent
_MOST_STRANGERS = const(16)
_LONGEST_STRANGER = const(40)


def apply(twin, document, is_whole):
    """Apply what the whole twin desires, or a patch of its desired section."""
    (_take_whole if is_whole else _take_patch)(twin, document)


def _take_whole(twin, document):
    """Apply what is desired, and find out what is left to report."""
    twin.is_out = False  # and of each property, see `compare()`
    desired, reported = _section(document, "desired"), _section(document, "reported")
    version = _version(desired)
    if version:
        twin.desired_version = version
        _settle(twin, twin.components[0], desired, version)
    else:
        twin.log.error("a twin without a desired $version: nothing applied")
    for component in twin.components:
        name = component.name
        if version:
            section = desired.get(name, {}) if name else desired
            if isinstance(section, dict):
                _restore(twin, component, section, version)
        held = _section(reported, name) if name else reported
        for entry in component.properties:
            compare(entry, held.get(entry.name))


def _take_patch(twin, patch):
    """Apply what is newer than what was applied."""
    version = _version(patch)
    if version > twin.desired_version:
        twin.desired_version = version
        _settle(twin, twin.components[0], patch, version)
    elif version and version == twin.desired_version:
        _repeat(twin, patch, version)
    else:
        twin.log.debug("desired %d is old: %d is applied", version, twin.desired_version)


def _settle(twin, component, section, version):
    """Apply what `section` has for `component`, and at the root for all the others."""
    for name in section:
        value = section[name]
        below = twin.component(name) if name and not component.name else None
        entry = named(component.properties, name)
        if name in ("$version", "__t"):
            pass
        elif below is not None and value is None:
            _restore(twin, below, {}, version)
        elif below is not None and isinstance(value, dict):
            _settle(twin, below, value, version)
        elif entry is None or entry.apply is None:
            _leave(twin, name)
        elif value is None:
            _apply_value(twin, entry, entry.default, _BY_DEVICE, version)
        else:
            _apply_value(twin, entry, value, _OK, version)


def _restore(twin, component, section, version):
    for entry in component.properties:
        if entry.apply is not None and entry.name not in section:
            _apply_value(twin, entry, entry.default, _BY_DEVICE, version)


def _apply_value(twin, entry, value, code, version):
    """Apply `value`, unless its type is wrong, and note the acknowledgement."""
    reason = "ok" if code == _OK else "default"
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
        twin.log.error("property %s failed: %r", entry.name, error)
        code, reason = _FAILED, "failure"
    if code == _BY_DEVICE:
        version = 0  # no version ever asked for a default
    # What a reconnect brings again is not counted again
    if entry.code != code or entry.version != version:
        twin.accepted_count += code == _OK
        twin.rejected_count += code == _INVALID
    entry.code = code
    entry.version = version
    entry.reason = reason[:_LONGEST_REASON]
    entry.is_dirty = True


def _repeat(twin, patch, version):
    """A patch that came twice has no second effect, but its answer is given again."""
    for component in twin.components:
        section = _section(patch, component.name) if component.name else patch
        for entry in component.properties:
            if entry.code and entry.name in section and entry.version in (0, version):
                entry.is_dirty = True


def _leave(twin, name):
    name = ("%s" % (name,))[:_LONGEST_STRANGER]
    if name not in twin.strangers and len(twin.strangers) < _MOST_STRANGERS:
        twin.strangers.append(name)
        twin.log.warning("desired %r is unknown or read-only: left alone", name)


def compare(entry, held):
    """Decide from `held`, the reported section's value or None, whether to tell anything."""
    entry.is_out = False
    if entry.apply is None:
        entry.is_dirty = entry.value is not None and not is_same(held, entry.value)
        return
    entry.is_dirty = entry.code != 0
    if isinstance(held, dict):
        is_held = is_same(held.get("ac"), entry.code) and is_same(held.get("av"), entry.version)
        if is_held and is_same(held.get("value"), entry.value):
            entry.is_dirty = False


def _section(root, name):
    """The part of a twin or of a patch under `name`; {} if it is missing or malformed."""
    section = root.get(name) if isinstance(root, dict) else None
    return section if isinstance(section, dict) else {}


def _version(section):
    """The `$version` of a section or patch, 0 if it has none that a hub could have counted."""
    version = section.get("$version") if isinstance(section, dict) else None
    return version if type(version) is int and 0 < version <= _HIGHEST_VERSION else 0
