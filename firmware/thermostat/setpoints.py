"""Set points that the cloud gave and that survive a restart.

A set point is accepted at once and written to flash when it changed: at most every ten seconds,
so that a slider that somebody drags does not wear the flash, and on the way out.
"""

from micropython import const
from system.modules import forget
from system.store import ConfigurationError

# Whole seconds of uptime: eleven of them are never less than ten seconds
_WRITE_PERIOD_S = const(11)
# What reads and writes the file is in the heap only while it does so: between two changes of a
# set point lie hours
_READER = const(("thermostat.setpoints_content", "system.section", "system.store"))
_WRITER = const(("system.store",))
VERSION = const(1)


class SetPoints:
    """`file` keeps them (SetPointsFile), `names` are the zones there are. Ints in
    0.01 °C.

    A file that cannot be used costs the set points, never the start: `problem` says why.
    """

    def __init__(self, file, clock, log, names):
        self.problem = None
        self._file = file
        self._clock = clock
        self._log = log
        self._changed = False
        self._next_write_s = 0
        self._targets = self._loaded(names)

    def get(self, name, default_centi_c):
        """The accepted set point of zone `name`, or the default."""
        return self._targets.get(name, default_centi_c)

    def set(self, name, target_centi_c):
        """Accept a set point."""
        if self._targets.get(name) != target_centi_c:
            self._targets[name] = target_centi_c
            self._changed = True

    def forget(self, name):
        """Back to the default."""
        if name in self._targets:
            del self._targets[name]
            self._changed = True

    def poll(self):
        """Write what changed, if it is time. To be called often; costs nothing mostly."""
        if self._changed and self._clock.uptime_s() >= self._next_write_s:
            self.flush()

    def flush(self):
        """Write what changed, now: on the way out. True if nothing is left to write."""
        if not self._changed:
            return True
        self._next_write_s = self._clock.uptime_s() + _WRITE_PERIOD_S
        try:
            self._file.save(self._targets)
        except (OSError, MemoryError) as error:
            # Flash or heap is full. The set points hold all the same; the next poll tries again
            self._log.warning("set points not kept in flash: %s", error)
            return False
        self._changed = False
        return True

    def _loaded(self, names):
        try:
            targets = self._file.load()
            self.problem = self._file.problem
        except ConfigurationError as error:
            self.problem = error
            targets = {}
        if self.problem:
            self._log.warning("set points: %s", self.problem)
        return {name: targets[name] for name in targets if name in names}


class SetPointsFile:
    """`path` on `files` (see system/store.py); `problem`: what was wrong with the newest copy."""

    def __init__(self, path, files=None):
        self.problem = None
        self._path = path
        self._files = files

    def load(self):
        """{zone name: 0.01 °C}, empty if there is no file. Raises ConfigurationError."""
        from thermostat.setpoints_content import load

        try:
            targets, self.problem = load(self._path, self._files)
            return targets
        finally:
            del load
            forget(_READER)

    def save(self, targets):
        """Keep `targets`, if they are not there already. Raises OSError."""
        from system.store import Store

        try:
            Store(self._path, self._files).save({"version": VERSION, "targets": targets})
        finally:
            del Store
            forget(_WRITER)
