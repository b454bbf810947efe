"""A relay on a pin."""


class Relay:
    """Off from construction on. `active_high=False` is for modules that switch on at level 0.

    `pin` has `value(level)` like machine.Pin. No call allocates.
    """

    def __init__(self, pin, active_high=True):
        self._pin = pin
        self._on_level = 1 if active_high else 0
        self.is_on = False
        self.off()

    def on(self):
        self._pin.value(self._on_level)
        self.is_on = True

    def off(self):
        self._pin.value(1 - self._on_level)
        self.is_on = False
