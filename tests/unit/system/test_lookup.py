"""The look-up of names, and that what it takes is in the heap only meanwhile."""

import sys

from expect import raises
from system.lookup import Lookup


class Resolver:
    """In the place of the one that asks name servers: answers as it is told to."""

    answers = []
    made = []

    def __init__(self, servers, random_below):
        self.made.append((servers, random_below))
        self._is_asking = False

    def resolve(self, host, port):
        answer = self.answers.pop(0)
        self._is_asking = answer is None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def is_asking(self):
        return self._is_asking


def test_the_machinery_stays_until_there_is_an_answer_and_no_longer():
    class Module:
        pass

    module = Module()
    module.Resolver = Resolver
    lookup = Lookup("servers", "random")
    Resolver.answers = [None, None, "address", OSError("no such name"), "address"]
    del Resolver.made[:]
    before = sys.modules.get("system.names")
    try:
        # The answer ends a resolver, with it what it is made of; while one asks it stays
        for is_asking, makes in ((True, 1), (True, 1), (False, 1), (False, 2), (False, 3)):
            sys.modules["system.names"] = module
            if Resolver.answers[0].__class__ is OSError:
                with raises(OSError, "no such name"):
                    lookup.resolve("hub", 8883)
            else:
                assert lookup.resolve("hub", 8883) == (None if is_asking else "address")
            assert (lookup._resolver is not None) == is_asking
            assert len(Resolver.made) == makes
        assert Resolver.made[0] == ("servers", "random")
    finally:
        sys.modules.pop("system.names", None)
        if before is not None:
            sys.modules["system.names"] = before
