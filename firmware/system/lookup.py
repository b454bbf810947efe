"""Looks names up; what that takes is in the heap only while one is asked for."""

from system.modules import forget


class Lookup:
    """`servers`, `random_below`: see `system.names.Resolver`."""

    def __init__(self, servers, random_below):
        self._servers = servers
        self._random_below = random_below
        self._resolver = None

    def resolve(self, host, port):
        """The socket address, or None: ask again, at least every second. Raises OSError."""
        if self._resolver is None:
            from system.names import Resolver

            self._resolver = Resolver(self._servers, self._random_below)
        try:
            return self._resolver.resolve(host, port)
        finally:
            if not self._resolver.is_asking():
                self._resolver = None
                forget(("system.names",))
