"""A log that keeps its records for a test to read."""


class FakeLog:
    """Stands for `system.log.Log`. `records` holds (level, formatted text)."""

    def __init__(self, name="test"):
        self.name = name
        self.records = []

    def _keep(self, level, message, values):
        assert len(values) <= 3, "`system.log.Log` takes three values at most"
        self.records.append((level, message % values if values else message))

    def debug(self, message, *values):
        self._keep("debug", message, values)

    def info(self, message, *values):
        self._keep("info", message, values)

    def warning(self, message, *values):
        self._keep("warning", message, values)

    def error(self, message, *values):
        self._keep("error", message, values)

    def has(self, level, containing=""):
        return any(kind == level and containing in text for kind, text in self.records)

    def text(self):
        return "\n".join([text for _, text in self.records])
