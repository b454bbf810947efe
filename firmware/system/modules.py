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


def later(name, function, *arguments):
    """What calls `function` of the module `name` with `arguments`; the module is there then."""

    def call():
        made = getattr(__import__(name, None, None, (function,)), function)(*arguments)
        forget((name,))
        return made

    return call
