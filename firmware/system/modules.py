"""Modules that are needed rarely leave the heap in between: a board has room for one at a time."""

import gc
import sys


def forget(names):
    """Let the modules `names` go, so far as nothing made by them is in use any more.

    An object of a class with methods keeps the module of that class.
    """
    for name in names:
        package, _, module = name.rpartition(".")
        sys.modules.pop(name, None)
        if package in sys.modules and hasattr(sys.modules[package], module):
            delattr(sys.modules[package], module)
    gc.collect()


def later(names, function, *arguments):
    """What calls `function` with `arguments`, and with those of the call behind them.

    It is of the first of the modules `names`, which are there only meanwhile.
    """

    def call(*more):
        try:
            module = __import__(names[0], None, None, (function,))
            return getattr(module, function)(*arguments, *more)
        finally:
            forget(names)

    return call
