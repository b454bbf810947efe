"""Set points that the cloud gave and that survive a restart.

A set point is accepted at once and written to flash when it changed: at most every ten seconds,
so that a slider that somebody drags does not wear the flash, and on the way out.
The file holds {"version": 1, "targets": {zone name: 0.01 °C}}; `thermostat.kept` reads it.
"""

from micropython import const
from system.modules import later

# Whole seconds of uptime: eleven of them are never less than ten seconds
_WRITE_PERIOD_S = const(11)
# What reads and writes the file is in the heap only while it does so: between two changes of a
# set point lie hours
_STORE = const(("system.store",))
# Made once: built where it is needed, it would take heap when there is none
_LOSSES = (OSError, MemoryError)


class SetPoints:
    """Kept at `path` on `files` (see system/store.py), none at first. Ints in 0.01 °C."""

    def __init__(self, path, clock, log, files=None):
        self.targets = {}  # zone name: set point
        self.path = path
        self.files = files
        self.clock = clock
        self.log = log
        self._changed = False
        self._next_write_s = 0

    def get(self, name, default_centi_c):
        """The accepted set point of zone `name`, or the default."""
        return self.targets.get(name, default_centi_c)

    def set(self, name, target_centi_c):
        """Accept a set point."""
        if self.targets.get(name) != target_centi_c:
            self.targets[name] = target_centi_c
            self._changed = True

    def poll(self):
        """Write what changed, if it is time. To be called often; costs nothing mostly."""
        if self._changed and self.clock.uptime_s() >= self._next_write_s:
            self.flush()

    def flush(self):
        """Write what changed, now: on the way out. True if nothing is left to write."""
        if not self._changed:
            return True
        self._next_write_s = self.clock.uptime_s() + _WRITE_PERIOD_S
        try:
            store = later(_STORE, "Store", self.path, self.files)()
            store.save({"version": 1, "targets": self.targets})
            self._changed = False
        except _LOSSES as error:
            # Flash or heap is full. The set points hold all the same; the next poll tries again
            self.log.warning("set points not kept: %s", error)
        return not self._changed
