"""Modules that are needed rarely leave the heap in between: a board has room for one at a time."""

import gc
from sys import modules


def forget(names):
    """Let the modules `names` go, so far as nothing made by them is in use any more. Never raises.

    An object of a class with methods keeps the module of that class.
    """
    for name in names:
        modules.pop(name, None)
    try:
        for name in names:
            package, _, name = name.rpartition(".")
            if hasattr(modules.get(package), name):
                delattr(modules[package], name)
    except MemoryError:
        pass  # its package keeps it until it is forgotten once more
    gc.collect()


def later(names, function, *arguments):
    """What calls `function` with `arguments`, and with those of the call behind them.

    It is of the first of the modules `names`, which are there only meanwhile.
    """

    def call(*more):
        for name in names:
            # An import that finds no heap leaves its name without a module: whoever imports it
            # again is handed a null pointer, at which MicroPython 1.29 falls
            if not modules.get(name):
                modules.pop(name, None)
        try:
            module = __import__(names[0], None, None, (function,))
            return getattr(module, function)(*arguments, *more)
        finally:
            forget(names)

    return call
