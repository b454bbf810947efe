"""crash.txt says where and what kind, and nothing of what was being worked on."""

import os
import sys

from doubles import folders
from doubles.keys import KEY
from system import recovery

FOLDER = "build/tests/crash-" + sys.implementation.name
PATH = FOLDER + "/crash.txt"


def fresh():
    folders.make(FOLDER)
    for path in (PATH, PATH + ".told"):
        try:
            os.remove(path)
        except OSError:
            pass


def content():
    with open(PATH) as file:
        return file.read()


def caught(error):
    try:
        raise error
    except type(error) as raised:
        return raised


def test_where_and_what_kind_without_the_words():
    secret = "HostName=h;DeviceId=d;SharedAccessKey=" + KEY
    fresh()
    for error in (
        ValueError(secret),
        KeyError(secret),
        TypeError("a\n  File " + secret),
        OSError(secret),
        RuntimeError(secret * 20),
    ):
        recovery.note_crash(PATH, "slot a, start 3", caught(error))
    text = content()
    assert KEY not in text
    assert "SharedAccessKey" not in text
    assert text.startswith("crash, slot a, start 3: ValueError\n  File ")
    assert "in caught" in text
    assert text.count("crash, ") == 5


def test_words_that_name_parts_of_the_program_are_kept():
    summary = recovery.summary
    head = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n'
    for line in (
        "ImportError: no module named 'x'",
        "OSError: [Errno 28] ENOSPC",
        "MemoryError: memory allocation failed, allocating 9999 bytes",
        "AttributeError: 'App' object has no attribute 'x'",
    ):
        assert summary(head + line + "\n").startswith(line + "\n  File ")
    assert summary(head + "ValueError: x\n").startswith("ValueError\n")
    assert summary(head + "ValueError\n").startswith("ValueError\n")
    assert summary("") == "unknown"
    assert summary("ValueError: only a value") == "unknown"


def test_a_long_traceback_ends_where_it_fell():
    places = ['  File "x.py", line %d, in f' % line for line in range(100)]
    text = recovery.summary("\n".join(["Traceback:"] + places + ["ValueError: x"]))
    assert text.count("\n") == 12
    assert text.endswith("line 99, in f")
    assert len(recovery.summary("  File x\n" + "E" * 500)) < 200


def test_the_file_keeps_the_last_few_whole_entries():
    fresh()
    for number in range(60):
        recovery.note_crash(PATH, "start %d" % number, caught(ValueError("x")))
    text = content()
    assert len(text) <= 2048
    assert text.startswith("crash, start ")
    assert "crash, start 59: ValueError\n" in text
    assert text.count("crash, ") > 5
    numbers = [int(part.split(":")[0]) for part in text.split("crash, start ")[1:]]
    assert numbers == list(range(numbers[0], 60))


def test_what_was_in_the_file_before_may_be_anything():
    for before in (b"\xff" * 10000, b"", b"x" * 2047, b"\ncrash, "):
        fresh()
        with open(PATH, "wb") as file:
            file.write(before)
        recovery.note_crash(PATH, "start 1", caught(ValueError("x")))
        with open(PATH, "rb") as file:
            after = file.read()
        assert len(after) <= 2048
        assert b"crash, start 1: ValueError\n" in after


def test_a_flash_that_takes_nothing_is_borne():
    recovery.note_crash("build/tests/no-such-folder/crash.txt", "start 1", caught(ValueError("x")))


def test_a_crash_is_told_once():
    fresh()
    assert recovery.take_untold(PATH) == ""
    recovery.note_crash(PATH, "slot a, start 1", caught(ValueError("a")))
    recovery.note_crash(PATH, "control", caught(KeyError("b")))
    told = recovery.take_untold(PATH)
    assert told.startswith("crash, control: KeyError\n")
    assert recovery.take_untold(PATH) == ""
    # The same again is another crash
    recovery.note_crash(PATH, "control", caught(KeyError("b")))
    assert recovery.take_untold(PATH) == told
    assert content().count("crash, ") == 3
