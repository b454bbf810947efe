"""boot.py: which slot, how many starts, all relays off; whatever the flash is like."""

import binascii

from doubles.boot_world import ROOT, World
from doubles.fs import FakeFlash, PowerCut
from expect import raises
from system import recovery


def marker(slot, state):
    text = slot + " " + state
    return ("%s %08x\n" % (text, binascii.crc32(text.encode()))).encode()


def flash_with(whole="ab", slot=None, boots=None):
    files = {}
    for name in list(whole):
        files["%s/%s/files.json" % (ROOT, name)] = b"{}"
    if slot is not None:
        files[ROOT + "/slot"] = slot
    if boots is not None:
        files[ROOT + "/boots"] = boots
    return FakeFlash(files)


def file(flash, name):
    return flash.files.get(ROOT + "/" + name)


def run_main(space):
    """The first thing that main.py does, unless it is safe mode."""
    if not space["safe"]:
        space["begin"]()


def come_up(world, space):
    """What main.py does once the app works."""
    with world.flash_of(recovery):
        recovery.come_up(space["root"], space["slot"], space["good"])


def test_the_marker_is_as_written_down():
    assert marker("a", "good") == b"a good fe6bc3d6\n"
    flash = flash_with("ab", None)
    world = World(flash)
    come_up(world, world.boot())
    assert file(flash, "slot") == b"a good fe6bc3d6\n"


def test_every_relay_is_off_and_the_watchdog_held():
    world = World(flash_with("b"))
    space = world.boot()
    assert world.relays == [False, False]
    assert world.told == ["import b", "hold 600000"]
    assert space["path"][0] == ROOT + "/b"


def test_what_it_leaves_for_main():
    space = World(flash_with()).boot()
    names = {name for name in space if name[0] != "_" and name not in ("path", "open", "print")}
    modules = {"binascii", "os", "sys", "time"}
    assert names - modules == {
        "board",
        "slot",
        "root",
        "good",
        "boots",
        "safe",
        "relays_off",
        "begin",
    }


def test_without_slots_the_board_is_on_the_path_and_nothing_is_written():
    class Plain:
        pass

    flash = FakeFlash()
    world = World(flash, plain_board=Plain(), cause="power_on", pressed=(True,))
    world.dress(world.plain_board)
    space = world.boot()
    run_main(space)
    come_up(world, space)
    assert (space["slot"], space["safe"], world.said) == ("-", False, ["up -"])
    assert world.relays == [False, False]
    assert flash.operations == 0


# ---- which slot, and when safe mode: an independent reading of the rules


def expected(whole, marked, boots):
    """(slot, safe)"""
    slot, state = marked if marked and marked[0] in whole else (whole[0], "good")
    other = "b" if slot == "a" else "a"
    if state == "trial" and boots >= 2 and other in whole:
        slot = other
    return slot, boots >= 5


MARKS = (None, ("a", "good"), ("a", "trial"), ("b", "good"), ("b", "trial"))


def test_slot_and_safe_mode_for_every_state():
    seen = 0
    for whole in ("a", "b", "ab"):
        for marked in MARKS:
            for boots in (None, 0, 1, 2, 3, 4, 5, 6, 99999999999):
                flash = flash_with(
                    whole,
                    marker(marked[0], marked[1]) if marked else None,
                    None if boots is None else b"%d" % boots,
                )
                space = World(flash).boot()
                found = (space["slot"], space["safe"])
                assert found == expected(whole, marked, boots or 0), (whole, marked, boots)
                assert space["board"].SLOT == space["slot"]
                seen += 1
    assert seen == 135


def test_a_broken_marker_or_counter_is_none():
    whole = marker("b", "good")
    broken = [whole[:end] for end in range(len(whole))]
    broken += [whole + b"x", whole * 3, b"\xff" * 40, b"b good 00000000\n", b"b good\n"]
    broken += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for text in broken:
        assert World(flash_with("ab", text)).boot()["slot"] == "a", text
    for text in (b"", b"x", b"-3", b"\xff\xfe", b"2.5", b"\x00", b"0x10"):
        space = World(flash_with("ab", whole, text)).boot()
        assert (space["slot"], space["boots"], space["safe"]) == ("b", 0, False), text


# ---- a board that cannot be imported


def test_a_slot_whose_board_fails_is_left_without_a_trace():
    for error in (ImportError("x"), SyntaxError("x"), SystemExit(3), MemoryError(), OSError(5)):
        world = World(flash_with("ab", marker("b", "good")), broken={"b": error})
        space = world.boot()
        assert world.told == ["import b", "import a", "hold 600000"]
        assert space["slot"] == "a"
        assert space["board"].SLOT == "a"  # as is what the board imports in its turn
        assert space["path"][0] == ROOT + "/a"
        assert ROOT + "/b" not in space["path"]
        come_up(world, space)
        assert file(world.flash, "slot") == marker("a", "good")


def test_with_no_board_at_all_the_error_is_told():
    error = ImportError("no board")
    for whole in ("a", "ab"):
        with raises(ImportError, "no board"):
            World(flash_with(whole), broken={"a": error, "b": error}).boot()


# ---- starts


def test_five_starts_then_safe_mode_then_one_try_each_time():
    flash = flash_with("a")
    course = []
    for _ in range(10):
        space = World(flash).boot()
        course.append(space["safe"])
        run_main(space)
    assert course == [False] * 5 + [True, False, True, False, True]


def test_coming_up_ends_the_count():
    flash = flash_with("a", marker("a", "good"), b"4")
    world = World(flash)
    space = world.boot()
    run_main(space)
    assert file(flash, "boots") == b"5"
    come_up(world, space)
    assert file(flash, "boots") == b"0"
    before = flash.operations
    come_up(world, space)
    assert flash.operations == before  # nothing is written that is there already


def test_a_trial_has_two_starts_and_is_good_when_it_came_up():
    flash = flash_with("ab", marker("b", "trial"))
    course = []
    for _ in range(6):
        space = World(flash).boot()
        course.append(space["slot"] + ("!" if space["safe"] else ""))
        run_main(space)
    assert course == ["b", "b", "a", "a", "a", "a!"]
    assert file(flash, "slot") == marker("a", "good")
    flash = flash_with("ab", marker("b", "trial"))
    world = World(flash)
    come_up(world, world.boot())
    assert file(flash, "slot") == marker("b", "good")
    assert world.said == ["up b"]


def test_a_trial_is_counted_before_its_board_is_imported():
    flash = flash_with("ab", marker("b", "trial"))
    for _ in range(2):
        # ... which no handler sees the end of, as if the chip had been reset there
        with raises(KeyboardInterrupt):
            World(flash, broken={"b": KeyboardInterrupt()}).boot()
    assert file(flash, "boots") == b"2"
    assert World(flash).boot()["slot"] == "a"


# ---- the button


def held(flash, pressed, cause="power_on"):
    world = World(flash, pressed=pressed, cause=cause)
    try:
        space = world.boot()
    except SystemExit:
        assert world.told[-1] == "reset"
        space = None
    return world, space


def test_the_button_held_brings_the_other_slot_back_on_trial():
    flash = flash_with("ab", marker("b", "good"), b"3")
    world, space = held(flash, [False] * 9 + [True])
    assert space is None
    assert file(flash, "slot") == marker("a", "trial")
    assert file(flash, "boots") == b"0"
    assert 3000 <= world.waited_ms <= 4000
    assert [told for told in world.told if told[:3] == "led"] == ["led 1", "led 0"]
    assert World(flash).boot()["slot"] == "a"


def test_the_button_held_without_another_slot_is_safe_mode():
    flash = flash_with("b")
    _, space = held(flash, [True])
    assert space["safe"]
    assert not World(flash).boot()["safe"]


def test_a_button_not_held_long_enough_changes_nothing():
    for pressed in ([False], [True] * 29 + [False], [False] * 12 + [True], [True, False] * 50):
        flash = flash_with("ab", marker("b", "good"))
        world, space = held(flash, pressed)
        assert (space["slot"], space["safe"]) == ("b", False)
        assert file(flash, "slot") == marker("b", "good")
        assert world.waited_ms <= 4000


def test_only_power_on_waits_for_the_button():
    for cause in ("software", "watchdog", "unknown"):
        world, space = held(flash_with(), [True], cause)
        assert not space["safe"]
        assert world.waited_ms == 0


# ---- a flash that is full, or loses its power

STATES = [(marked, boots) for marked in MARKS for boots in (None, b"1", b"2", b"5")]


def live(flash):
    """A start that comes up."""
    world = World(flash)
    space = world.boot()
    run_main(space)
    if not space["safe"]:
        come_up(world, space)
    return space


def test_a_full_flash_never_stops_a_start():
    for marked, boots in STATES:
        text = marker(marked[0], marked[1]) if marked else None
        for fail_at in range(1, 12):
            flash = flash_with("ab", text, boots)
            slot = World(flash_with("ab", text, boots)).boot()["slot"]
            flash.plan(fail_at, "full")
            assert live(flash)["slot"] == slot


def test_a_power_cut_at_any_write_leaves_old_or_new():
    cuts = 0
    for marked, boots in STATES:
        text = marker(marked[0], marked[1]) if marked else None
        for torn in ("old", "none", "half", "all"):
            for fail_at in range(1, 100):
                flash = flash_with("ab", text, boots)
                slots, counts = {text}, {boots}
                reference = flash_with("ab", text, boots)
                note_states(reference, slots, counts)
                flash.plan(fail_at, "power", torn)
                try:
                    live(flash)
                    break
                except PowerCut:
                    cuts += 1
                flash.power_on()
                assert file(flash, "slot") in slots, (marked, boots, fail_at)
                assert file(flash, "boots") in counts, (marked, boots, fail_at)
                assert World(flash).boot()["slot"] in ("a", "b")
    print("%d power cuts" % cuts)
    assert cuts > 500, cuts


def note_states(flash, slots, counts):
    """All that the two files hold, one after the other, in a start that comes up."""
    rename = flash.rename

    def note(old, new):
        rename(old, new)
        slots.add(file(flash, "slot"))
        counts.add(file(flash, "boots"))

    flash.rename = note
    live(flash)
