"""The file of the set points. What reads and writes it is in the heap only while it does so."""

from system.modules import forget

# Between two changes of a set point lie hours
_READER = ("thermostat.setpoints_content", "system.section", "system.store")
_WRITER = ("system.store",)
VERSION = 1


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
