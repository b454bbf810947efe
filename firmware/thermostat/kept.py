"""Brings back the set points that an earlier run kept. In the heap only at the start."""

from micropython import const
from system.store import ConfigurationError, Store

# What any room could mean; settings narrow it when the set points are used
_HIGHEST_CENTI_C = const(6000)


def restore(set_points, names):
    """Give `set_points` those of its file that belong to the zones `names`.

    A file that cannot be used costs the set points, never the start: the log says why.
    """

    def validate(found):
        wrong = check(found)
        if wrong:
            raise ConfigurationError(*wrong)

    store = Store(set_points.path, set_points.files, validate)
    targets = {}
    try:
        found = store.load()
        if found is not None:
            validate(found)
            targets = found["targets"]
    except ConfigurationError as error:
        store.problem = error
    if store.problem:
        set_points.log.warning("set points: %s", store.problem)
    set_points.targets = {name: targets[name] for name in targets if name in names}


def check(found):
    """(key, reason) if `found`, a dict, is not what `SetPoints` writes; else None."""
    targets = found.get("targets")
    if found.get("version") != 1 or len(found) != 2 or not isinstance(targets, dict):
        return "targets", "must be an object {...}, beside version 1 and no more"
    for name in targets:
        if type(targets[name]) is not int or not 0 <= targets[name] <= _HIGHEST_CENTI_C:
            return "targets." + str(name)[:64], "must be a whole number from 0 to 6000"
    return None
