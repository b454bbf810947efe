"""First thing at power-on and after every reset: all relays off. No network, nothing else.

A soft reset leaves pins as they were, and the rest of the firmware may not even start; so this
imports the board alone. `board.relay_pin(index)` makes the pin and leaves it off, and raises
IndexError beyond the last relay.
"""

import board

_index = 0
try:
    while True:
        board.relay_pin(_index)
        _index += 1
except IndexError:
    del _index
