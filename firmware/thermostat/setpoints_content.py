"""What the file of the set points holds: {"version": 1, "targets": {zone name: 0.01 °C}}."""

from micropython import const
from system.section import checked_number, expect_dict, refuse_unknown
from system.store import Store

from thermostat.setpoints import VERSION

# What any room could mean; settings narrow it when the set points are used
_LOWEST_CENTI_C = const(0)
_HIGHEST_CENTI_C = const(6000)


def load(path, files):
    """(targets, the problem with a newer copy or None). Raises ConfigurationError."""
    store = Store(path, files, check)
    found = store.load()
    if found is None:
        return {}, None
    check(found)
    return found["targets"], store.problem


def check(found):
    """Raise ConfigurationError unless `found` is what `SetPoints` writes: for its Store."""
    refuse_unknown(expect_dict(found, ""), ("version", "targets"), "")
    checked_number(found.get("version"), VERSION, VERSION, "version")
    targets = expect_dict(found.get("targets"), "targets")
    for name in targets:
        checked_number(targets[name], _LOWEST_CENTI_C, _HIGHEST_CENTI_C, "targets." + name[:64])
