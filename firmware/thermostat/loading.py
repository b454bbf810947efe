"""Reads the configuration file once. What it takes to understand it need not stay in the heap.

The settings are handed over as plain attributes: an object of a class with methods would keep
the whole module alive that checked them, a tenth of a small board's heap.
"""

from micropython import const
from system.store import ConfigurationError, Store

from thermostat.settings import Settings

CONFIGURATION = "config.json"
_SECTIONS = const(("control", "telemetry", "connection", "supervision", "wifi"))


class Plain:
    """Attributes and nothing else."""


def load(folder, sensor_kinds, log):
    """(settings, trouble): those of the configuration in `folder`, as far as it can be used.

    `settings` is Plain with the attributes of `thermostat.settings.Settings`; the defaults if
    there is no file, or none that can be used. `trouble` is the ConfigurationError, or None.
    """

    def validate(found):
        return Settings.from_dict(found, sensor_kinds)

    store = Store("%s/%s" % (folder, CONFIGURATION), validate=validate)
    try:
        found = store.load()
        if store.problem:
            log.warning("%s", store.problem)
            log.warning("using %s instead", store.source)
        if found is None:
            log.warning("there is no %s yet: running without a network", store.path)
        return _plain_settings(validate(found) if found else Settings()), None
    except ConfigurationError as error:
        return _plain_settings(Settings()), error


def _plain_settings(settings):
    plain = _plain(settings)
    for name in _SECTIONS:
        setattr(plain, name, _plain(getattr(settings, name)))
    plain.zones = [_plain(zone) for zone in settings.zones]
    return plain


def _plain(thing):
    plain = Plain()
    for name, value in thing.__dict__.items():
        setattr(plain, name, value)
    return plain
