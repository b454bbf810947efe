"""A pin that remembers each level it was given."""


class FakePin:
    def __init__(self, level=0):
        self.level = level
        self.levels = []

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level
        self.levels.append(level)
        return None
