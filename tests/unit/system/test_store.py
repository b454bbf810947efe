import json
import os
import sys

from doubles.fs import ENOSPC, FakeFlash, PowerCut
from expect import raises
from system.store import ConfigurationError, Store

PATH = "config.json"
OLD = {"version": 1, "name": "old", "zones": [{"bus": 0}, {"bus": 1}]}
NEW = {"version": 1, "name": "new and longer", "zones": []}
SECRET = "c2VjcmV0LWtleQ"


def only_known(found):
    for key in found:
        if key not in ("version", "name", "zones"):
            raise ConfigurationError(key, "unknown key", "take it out")
    if found.get("version") != 1:
        raise ConfigurationError("version", "must be 1")


def store_on(flash):
    return Store(PATH, flash, only_known)


def flash_with(content):
    flash = FakeFlash()
    store_on(flash).save(content)
    return flash


def test_no_file_is_none_and_not_an_error():
    store = store_on(FakeFlash())
    assert store.load() is None
    assert store.source == "" and store.problem is None


def test_what_was_saved_is_loaded_and_the_file_is_plain_json():
    flash = flash_with(OLD)
    store = store_on(flash)
    assert store.load() == OLD
    assert store.source == PATH and store.problem is None
    plain = json.loads(flash.files[PATH].decode())
    assert len(plain.pop("seal")) == 16
    assert plain == OLD
    assert flash.files[PATH].startswith(b'{"seal":"')


def test_the_former_content_is_kept_beside_it():
    flash = flash_with(OLD)
    assert flash.files[PATH + ".bak"] == flash.files[PATH]
    store_on(flash).save(NEW)
    before = flash.files[PATH + ".bak"]
    assert json.loads(before.decode())["name"] == "old"
    assert sorted(flash.files) == [PATH, PATH + ".bak"]


def test_nothing_is_written_when_nothing_changed():
    flash = flash_with(OLD)
    writes = flash.writes
    assert store_on(flash).save(dict(OLD)) is False
    assert flash.writes == writes
    assert store_on(flash).save(NEW) is True


def test_a_power_cut_at_any_operation_leaves_old_or_new():
    for torn in ("old", "none", "half", "all"):
        for after_a_cut in (False, True):
            last = 0
            for number in range(1, 40):
                flash = flash_with(OLD)
                if after_a_cut:
                    # The state between the two renames: PATH is missing
                    flash.files[PATH + ".new"] = flash.files.pop(PATH)
                flash.plan(number, "power", torn)
                cut = False
                try:
                    store_on(flash).save(NEW)
                except PowerCut:
                    cut = True
                flash.power_on()
                found = store_on(flash).load()
                assert found == NEW if not cut else found in (OLD, NEW), (torn, number, found)
                # and the next save works
                store_on(flash).save({"version": 1, "name": "third"})
                assert store_on(flash).load()["name"] == "third"
                if not cut:
                    break
                last = number
            assert last >= 5


def test_a_power_cut_in_the_very_first_save_leaves_nothing_or_new():
    for torn in ("old", "none", "half", "all"):
        for number in range(1, 20):
            flash = FakeFlash()
            flash.plan(number, "power", torn)
            try:
                store_on(flash).save(NEW)
            except PowerCut:
                pass
            flash.power_on()
            assert store_on(flash).load() in (None, NEW), (torn, number)
            store_on(flash).save(OLD)
            assert store_on(flash).load() == OLD


def test_a_power_cut_while_sealing_loses_no_hand_written_file():
    text = b'{\n "version": 1,\n "name": "by hand"\n}\n'
    for torn in ("old", "none", "half", "all"):
        for number in range(1, 20):
            flash = FakeFlash({PATH: text})
            flash.plan(number, "power", torn)
            try:
                store_on(flash).load()
            except PowerCut:
                pass
            flash.power_on()
            assert store_on(flash).load() == {"version": 1, "name": "by hand"}


def test_a_full_flash_at_any_operation_leaves_the_old_content():
    for number in range(1, 12):
        for forever in (False, True):
            flash = flash_with(OLD)
            flash.plan(number, "full", forever=forever)
            failed = False
            try:
                store_on(flash).save(NEW)
            except OSError as error:
                assert error.args[0] == ENOSPC
                failed = True
            flash.power_on()
            assert store_on(flash).load() == (OLD if failed else NEW)
            assert PATH + ".new" not in flash.files


def test_a_write_that_takes_only_a_part_is_a_full_flash():
    class Short(FakeFlash):
        def open(self, path, mode="rb"):
            file = FakeFlash.open(self, path, mode)
            if "w" in mode and self.kind == "short":
                file.write = lambda data: 10
            return file

    flash = Short(flash_with(OLD).files)
    flash.kind = "short"
    with raises(OSError):
        store_on(flash).save(NEW)
    assert store_on(flash).load() == OLD


def test_every_flipped_bit_is_found_and_the_former_copy_used():
    flash = flash_with(OLD)
    whole = flash.files[PATH]
    for at in range(len(whole)):
        for bit in range(8):
            rotten = bytearray(whole)
            rotten[at] ^= 1 << bit
            flash.files[PATH] = bytes(rotten)
            store = store_on(flash)
            assert store.load() == OLD
            assert store.source == PATH + ".bak", (at, bit, bytes(rotten))
            assert store.problem is not None and PATH in str(store.problem)


def test_a_file_cut_short_anywhere_is_found():
    flash = flash_with(OLD)
    whole = flash.files[PATH]
    for size in range(len(whole)):
        flash.files[PATH] = whole[:size]
        store = store_on(flash)
        assert store.load() == OLD
        assert store.source == PATH + ".bak"


def test_saving_over_a_rotten_file_keeps_the_good_former_one():
    flash = flash_with(OLD)
    flash.files[PATH] = b"\xff" * 50
    store_on(flash).save(NEW)
    assert store_on(flash).load() == NEW
    del flash.files[PATH]
    assert store_on(flash).load() == OLD


def test_a_file_written_by_hand_is_validated_sealed_and_keeps_its_text():
    text = b'{\n  "version": 1,\n  "name": "by hand"\n}\n'
    flash = FakeFlash({PATH: text})
    assert store_on(flash).load() == {"version": 1, "name": "by hand"}
    assert flash.files[PATH].endswith(text[1:])
    assert b'"seal"' in flash.files[PATH]
    store = Store(PATH, flash)  # without a validator only sealed files count
    assert store.load() == {"version": 1, "name": "by hand"}


def test_a_file_written_by_hand_is_refused_with_file_key_reason_and_advice():
    flash = FakeFlash({PATH: b'{"version":1,"title":"x"}'})
    with raises(ConfigurationError, "config.json: title: unknown key; take it out"):
        store_on(flash).load()
    assert flash.files == {PATH: b'{"version":1,"title":"x"}'}


def test_a_refused_edit_leaves_the_former_copy_in_use_and_is_reported():
    flash = flash_with(OLD)
    edited = b'{"version":2}'
    flash.files[PATH] = edited
    store = store_on(flash)
    assert store.load() == OLD
    assert "version: must be 1" in str(store.problem)
    assert flash.files[PATH] == edited


def test_an_edited_file_with_its_stale_seal_is_not_used_and_says_why():
    flash = flash_with(OLD)
    flash.files[PATH] = flash.files[PATH].replace(b"old", b"hot")
    del flash.files[PATH + ".bak"]
    with raises(ConfigurationError, 'delete the member "seal"'):
        store_on(flash).load()
    flash.files[PATH] = b'{"version":1, "seal":"0123456789abcdef"}'
    with raises(ConfigurationError, 'delete the member "seal"'):
        store_on(flash).load()


def test_a_full_flash_does_not_keep_a_file_written_by_hand_from_being_used():
    flash = FakeFlash({PATH: b'{"version":1}'})
    flash.plan(1, "full")
    assert store_on(flash).load() == {"version": 1}
    assert flash.files[PATH] == b'{"version":1}'


def test_without_a_validator_an_unsealed_file_is_refused():
    with raises(ConfigurationError, "has no seal"):
        Store(PATH, FakeFlash({PATH: b'{"version":1}'})).load()


def test_hostile_json_is_a_configuration_error_and_nothing_else():
    for text in (
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        b'{"name":"\xff"}',
        b"[" * 7000,
        b'{"a":' * 1300 + b"1" + b"}" * 1300,
        b'{"name":' + b"9" * 5000 + b',"version":2}',
        b" " * 8193,
        b'{"seal":"0123456789abcdef"}',
        b'{"seal":"0123456789abcdef",}',
        b'{"seal":5,"version":1}',
        b'{"version":1e999}',
        b'{"version":NaN}',
        b'{"version":[1]}',
    ):
        with raises(ConfigurationError, PATH):
            store_on(FakeFlash({PATH: text})).load()


def test_brackets_within_text_are_no_depth():
    name = "[{" * 100 + '\\"' + "[" * 9
    flash = flash_with({"version": 1, "name": name})
    assert store_on(flash).load()["name"] == name


def test_an_unreadable_file_is_told_apart_from_a_missing_one():
    class Broken(FakeFlash):
        def open(self, path, mode="rb"):
            raise OSError(5)

    with raises(ConfigurationError, "cannot be read"):
        store_on(Broken({PATH: b"{}"})).load()


def test_errors_never_show_what_the_file_holds():
    text = '{"version":1,"name":"%s"' % SECRET
    for content in (text, text + "}}", text + ',"seal":1}', '{"%s":' % ("x" * 30) + text):
        flash = FakeFlash({PATH: content.encode()})
        try:
            store_on(flash).load()
        except ConfigurationError as error:
            assert SECRET not in str(error) and SECRET not in repr(error)


def test_the_real_file_system_serves():
    path = "build/test_store_%s.json" % sys.implementation.name
    try:
        os.mkdir("build")
    except OSError:
        pass
    for companion in ("", ".bak", ".new"):
        try:
            os.remove(path + companion)
        except OSError:
            pass
    store = Store(path, None, only_known)
    assert store.load() is None
    assert store.save(OLD) and store.save(NEW) and not store.save(NEW)
    assert store.load() == NEW
    with open(path + ".bak") as file:
        assert json.loads(file.read())["name"] == "old"
    for companion in ("", ".bak"):
        os.remove(path + companion)


def test_a_former_copy_written_by_hand_serves_and_is_left_alone():
    """To put a file beside the damaged one is what a person does who has no other way in."""
    text = b'{"version": 1, "name": "by hand"}'
    flash = FakeFlash({PATH + ".bak": text})
    store = store_on(flash)
    assert store.load() == {"version": 1, "name": "by hand"}
    assert store.source == PATH + ".bak"
    assert flash.files == {PATH + ".bak": text}


def test_saving_over_a_file_that_cannot_be_read_replaces_it():
    flash = FakeFlash({PATH: b"x" * 9000})
    assert store_on(flash).save(NEW)
    assert store_on(flash).load() == NEW


def test_the_first_file_of_all_is_kept_even_where_its_copy_finds_no_room():
    flash = FakeFlash()
    # 1 to 3 write it, 4 gives it its name
    flash.plan(5, "full")
    assert store_on(flash).save(OLD)
    flash.power_on()
    assert store_on(flash).load() == OLD
    assert list(flash.files) == [PATH]


def test_a_port_whose_files_are_durable_once_closed_needs_no_sync():
    class Durable:
        def __init__(self, flash):
            self.open, self.stat = flash.open, flash.stat
            self.rename, self.remove = flash.rename, flash.remove

    flash = FakeFlash()
    assert store_on(Durable(flash)).save(OLD)
    assert store_on(flash).load() == OLD
