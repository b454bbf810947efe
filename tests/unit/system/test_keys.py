"""Until somebody types there is no console in the heap; then it has the first key too."""

import asyncio
import builtins

from doubles.typed_keys import Keys
from system import keys


def served(typed, scope):
    """Whether the console was there before the first key, and what was printed."""
    said = []
    printing, builtins.print = (
        builtins.print,
        lambda *words: said.append(" ".join(map(str, words))),
    )
    try:
        asyncio.run(keys._serve(Keys(typed), scope))
        return "asyncio" in scope, said
    finally:
        builtins.print = printing


def test_the_first_key_is_answered_like_the_others():
    assert served("6*7\r", {}) == (True, ["42"])


def test_without_a_key_there_is_no_console():
    assert served("", {}) == (False, [])


def test_half_a_letter_is_passed_over():
    for typed in ([UnicodeError(), "7", "\r"], ["7", UnicodeError(), "\r"]):
        assert served(typed, {}) == (True, ["7"])


def test_a_stream_of_bytes_will_do():
    assert served([b"4", b"2", b"\r", b""], {}) == (True, ["42"])


def test_what_is_no_ascii_is_passed_over():
    assert served([b"\xfc", b"4", b"\xc3", b"\xbc", b"2", b"\r"], {}) == (True, ["42"])
    assert served("\x804\xfc2\r", {}) == (True, ["42"])


def test_a_console_that_cannot_come_is_told_and_tried_again():
    class Full:
        """A scope for which there is no room the first time."""

        def __init__(self):
            self.names = {}
            self.is_full = True

        def __setitem__(self, name, value):
            if self.is_full:
                self.is_full = False
                raise MemoryError("no room")
            self.names[name] = value

        def __contains__(self, name):
            return name in self.names

    scope = Full()
    came, said = served("x\x04", scope)
    assert came
    assert said == ["no console: no room"]


def test_an_attached_stream_is_served_beside_everything_else():
    async def main():
        keys.attach(Keys("6*7\r"), {})
        await asyncio.sleep(0.3)

    # CPython's reader is another one, to which a port of the network belongs
    real, asyncio.StreamReader = asyncio.StreamReader, lambda stream: stream
    said = []
    printing, builtins.print = builtins.print, lambda *words: said.append(words)
    try:
        asyncio.run(main())
    finally:
        builtins.print, asyncio.StreamReader = printing, real
    assert said == [("42",)]
