"""Milliseconds that pass when the test says so, for the simulated chips and rooms."""


class Ticks:
    def __init__(self):
        self.now_ms = 0

    def advance(self, ms):
        self.now_ms += ms

    def ticks_ms(self):
        return self.now_ms

    def ticks_diff(self, later, earlier):
        return later - earlier
