"""A console while everything goes on: one line in, the value or the traceback out.

    thermo> app.rooms[0].temperature_centi_c
    2012

The prompt appears with the first key, and log lines push the line being typed down, so that one
who does not type sees a plain log. Backspace, Ctrl-U (nothing typed), arrow up (the line before).
`await` works; `app`, `board`, `gc` and `asyncio` are there, and what is assigned stays.
"""

import asyncio
import gc
import sys

from micropython import const

from system import log
from system.supervision import traceback_text

_PROMPT = const("thermo> ")
_CLEAR_LINE = const("\r\x1b[K")
_LONGEST_LINE = const(200)
_LONGEST_ANSWER = const(1000)

_CTRL_C = const(3)
_NEWLINE = const(10)
_RETURN = const(13)
_CTRL_U = const(21)
_ESCAPE = const(27)
_DELETE = const(127)

# Where in an escape sequence: ESC [ digits letter, or ESC O letter
_NO_SEQUENCE = const(0)
_AFTER_ESCAPE = const(1)
_IN_SEQUENCE = const(2)


class Console:
    """`scope`: the names there are, besides `asyncio` and `gc`. `write(text)`: to the operator."""

    def __init__(self, scope, write=sys.stdout.write):
        scope["asyncio"], scope["gc"] = asyncio, gc
        self._scope = scope
        self._write = write
        self._line = ""
        self._former = ""
        self._is_typing = False
        self._sequence = _NO_SEQUENCE
        self._last = 0

    async def take(self, key):
        """One key, of one letter; what it ends is answered."""
        line = self.press(key)
        if line:
            await self.answer(line)

    def press(self, key):
        """Take one key. Returns the line that it ends, else None."""
        code, last, self._last = ord(key), self._last, ord(key)
        if code == _CTRL_C:  # of a stream that does not make one by itself
            raise KeyboardInterrupt
        if self._sequence:
            self._follow(key)
        elif code == _ESCAPE:
            self._sequence = _AFTER_ESCAPE
        elif code == _NEWLINE and last == _RETURN:
            pass
        else:
            self._begin()
            if code in (_RETURN, _NEWLINE):
                return self._end()
            self._edit(key, code)
        return None

    def _follow(self, key):
        if self._sequence == _AFTER_ESCAPE and key in "[O":
            self._sequence = _IN_SEQUENCE
        elif self._sequence == _AFTER_ESCAPE or not "0" <= key <= ";":
            self._sequence = _NO_SEQUENCE
            if key == "A" and self._former:
                self._begin()
                self._replace(self._former)

    def _edit(self, key, code):
        if code in (8, _DELETE):
            if self._line:
                self._line = self._line[:-1]
                self._write("\b \b")
        elif code == _CTRL_U:
            self._replace("")
        elif code >= 32 and len(self._line) < _LONGEST_LINE:
            self._line += key
            self._write(key)

    def _begin(self):
        if not self._is_typing:
            self._is_typing = True
            self._write(_PROMPT)
            log.sink = self._push_down

    def _replace(self, line):
        self._line = line
        self._write(_CLEAR_LINE + _PROMPT + line)

    def _end(self):
        line, self._line, self._is_typing = self._line.strip(), "", False
        self._former = line or self._former
        log.sink = print
        self._write("\n")
        return line

    def _push_down(self, text):
        self._write(_CLEAR_LINE + text + "\n" + _PROMPT + self._line)

    async def answer(self, line):
        """Evaluate or execute `line`; whatever it raises is shown."""
        try:
            value = await self._value(line)
            if value is not None:
                print(repr(value)[:_LONGEST_ANSWER])
        except Exception as error:  # noqa: BLE001 - the operator's mistakes are the operator's
            print(traceback_text(error))
        gc.collect()

    async def _value(self, line):
        scope = self._scope
        if line.startswith("await "):
            exec("async def _awaited():\n return " + line, scope)
            return await scope.pop("_awaited")()
        try:
            code = compile(line, "console", "eval")
        except SyntaxError:
            code = compile(line, "console", "exec")
        return eval(code, scope)
