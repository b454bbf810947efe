"""The console: what is typed, what is answered, and that it keeps out of the log's way."""

import asyncio

from expect import raises
from system import log
from system.console import Console

UP = "\x1b[A"


class Captured:
    """Context: what `print` says inside is in `.lines`."""

    def __enter__(self):
        import builtins

        self.lines = []
        self._print = builtins.print
        builtins.print = self._take
        return self

    def __exit__(self, kind, error, traceback):
        import builtins

        builtins.print = self._print

    def _take(self, *words, **named):
        if named:  # how CPython builds the text of a traceback
            return self._print(*words, **named)
        self.lines.append(" ".join([str(word) for word in words]))


def console(scope=None):
    shown = []
    return Console(scope if scope is not None else {}, shown.append), shown


async def run(one, keys):
    for key in list(keys):
        await one.take(key)


def typed(one, keys):
    """Press all `keys`; the lines they end."""
    lines = []
    for key in list(keys):
        line = one.press(key)
        if line is not None:
            lines.append(line)
    return lines


def test_nothing_is_shown_before_the_first_key():
    one, shown = console()
    assert shown == []
    one.press("a")
    assert "".join(shown) == "thermo> a"


def test_a_line_with_corrections():
    one, _ = console()
    assert typed(one, "ab\x7f\x08\x08xy\r") == ["xy"]
    assert typed(one, "wrong\x15right\n") == ["right"]
    assert typed(one, "  \r\r\n\n") == ["", "", ""]
    assert typed(one, "grün\x7f\r") == ["grü"]


def test_the_former_line_comes_back():
    one, shown = console()
    assert typed(one, UP + "first\r" + UP + "\r" + "\x1bOA!\r") == ["first", "first", "first!"]
    typed(one, "second" + UP)
    assert "".join(shown).endswith("\r\x1b[Kthermo> first!")


def test_other_keys_of_a_keyboard_are_harmless():
    one, _ = console()
    assert typed(one, "a\x1b[D\x1b[C\x1b[3~\x1b[1;5D\x1bOP\x1bxb\t\x01\x04\x00\x0cc\r") == ["abc"]


def test_a_line_has_a_longest_length():
    one, shown = console()
    (line,) = typed(one, "x" * 1000 + "\r")
    assert len(line) == 200
    assert len("".join(shown)) < 300


def test_the_interrupt_key_of_a_raw_stream_interrupts():
    one, _ = console()
    with raises(KeyboardInterrupt):
        one.press("\x03")


def test_log_lines_leave_the_typed_line_whole():
    one, shown = console()
    with Captured() as captured:
        typed(one, "app.ro")
        log.Log("room").warning("cold")
        typed(one, "oms\r")
        log.Log("room").warning("colder")
    text = "".join(shown)
    assert "\r\x1b[K" in text
    assert "WARNING room: cold\n" + "thermo> app.ro" in text
    assert text.endswith("thermo> app.rooms\n")
    (line,) = captured.lines  # nobody types any more: printed as ever
    assert line.endswith("WARNING room: colder")


def answers(lines, scope=None):
    one, _ = console(scope)

    async def live():
        with Captured() as captured:
            await run(one, "".join([line + "\r" for line in lines]))
        return captured.lines

    return asyncio.run(live())


def test_values_statements_and_what_stays():
    assert answers(["1 + 1", "x = 5", "x * 2", "'a'", "None", "import sys", "x"]) == [
        "2",
        "10",
        "'a'",
        "5",
    ]
    assert answers(["for i in (1, 2): print(i)"]) == ["1", "2"]
    assert answers(["thing"], {"thing": [1]}) == ["[1]"]


def test_awaiting():
    async def twice(number):
        await asyncio.sleep(0)
        return 2 * number

    scope = {"twice": twice, "asyncio": asyncio}
    assert answers(["await twice(21)", "await asyncio.sleep(0)"], scope) == ["42"]
    assert "_awaited" not in scope


def test_mistakes_are_shown_and_survived():
    found = answers(["1 / 0", "nonsense", "(", "raise ValueError('no')", "'alive'"])
    assert "ZeroDivisionError" in found[0]
    assert "NameError" in found[1]
    assert "SyntaxError" in found[2]
    assert found[3].endswith("ValueError: no")
    assert found[4] == "'alive'"


def test_what_is_shown_is_bounded():
    def deep():
        deep()

    value, traceback = answers(["'x' * 100000", "deep()"], {"deep": deep})
    assert len(value) == 1000
    assert len(traceback) <= 600


def test_no_secret_in_what_an_operator_looks_at():
    from doubles.keys import KEY
    from iothub import identity

    who = identity.parse("HostName=h.example;DeviceId=d;SharedAccessKey=" + KEY)
    shown = answers(["who", "[who]", "repr(who)", "str(who)"], {"who": who})
    assert len(shown) == 4
    assert KEY not in "".join(shown)
