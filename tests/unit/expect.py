"""The few words that unit tests share, on CPython and on MicroPython alike."""


class raises:
    """Context manager: the block must raise `kind`; the exception is kept as `.error`."""

    def __init__(self, kind, containing=""):
        self.kind = kind
        self.containing = containing
        self.error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        assert kind is not None, "nothing was raised, %s expected" % self.kind.__name__
        if not issubclass(kind, self.kind):
            return False
        self.error = error
        assert self.containing in str(error), "%r is not in %r" % (self.containing, str(error))
        return True
