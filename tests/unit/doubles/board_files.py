"""The flash of a board as the host's tools see it, in memory, and a cable that can be pulled."""

import hashlib


class Pulled(Exception):
    pass


class BoardFiles:
    """`steps`: so many changes are made, then the cable is out. None: it stays in."""

    def __init__(self, contents=None, steps=None):
        self.contents = dict(contents or {})
        self.steps = steps

    def _step(self):
        if self.steps is not None:
            if not self.steps:
                raise Pulled
            self.steps -= 1

    def names(self):
        return list(self.contents)

    def read(self, path):
        return self.contents[path[1:]]

    def replace(self, path, content):
        """In the steps in which a cable can be pulled: a part of it, all of it, its name."""
        for part in (content[: len(content) // 2], content):
            self._step()
            self.contents[path[1:] + ".new"] = part
        self._step()
        self.contents[path[1:]] = self.contents.pop(path[1:] + ".new")

    def hash(self, path):
        return hashlib.sha256(self.contents[path[1:]]).hexdigest()

    def remove(self, path):
        self._step()
        del self.contents[path[1:]]
