"""Looks names up; what that takes is in the heap only while one is asked for."""

from system.modules import later


class Lookup:
    """`servers`, `random_below`: see `system.names.Resolver`."""

    def __init__(self, servers, random_below):
        self._new_resolver = later(("system.names",), "Resolver", servers, random_below)
        self._resolver = None

    def resolve(self, host, port):
        """The socket address, or None: ask again, at least every second. Raises OSError."""
        if self._resolver is None:
            self._resolver = self._new_resolver()
        try:
            return self._resolver.resolve(host, port)
        finally:
            if not self._resolver.is_asking():
                self._resolver = None
