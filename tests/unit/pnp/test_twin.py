"""Desired values and their acknowledgements, reconciliation, and reports that get lost."""

import json

from doubles.appliance import DEFAULT, Bench, ack, bare
from doubles.models import THERMOSTAT
from doubles.settings import Settings
from expect import raises
from pnp.device import Rejected


def target(patch, component="thermostat1"):
    return bare(patch[component]["targetTemperature"])


def zone(value):
    return {"__t": "c", "targetTemperature": value}


def online():
    bench = Bench()
    bench.hub.connect()
    return bench


# Acknowledgements


def test_an_accepted_value_is_acknowledged_with_200_and_its_version():
    bench = online()
    (patch,) = bench.hub.desire({"thermostat1": zone(22.5)})
    assert patch["thermostat1"]["__t"] == "c"
    assert target(patch) == ack(22.5, 200, 2)
    assert bench.zones["thermostat1"].target == 22.5


def test_the_root_of_a_device_without_components_has_no_marker():
    bench = Bench(dtmi=THERMOSTAT)
    bench.hub.connect()
    (patch,) = bench.hub.desire({"targetTemperature": 42})
    assert list(patch) == ["targetTemperature"]
    assert bare(patch["targetTemperature"]) == ack(42, 200, 2)


def test_the_value_in_use_is_reported_even_if_it_differs():
    (patch,) = online().hub.desire({"thermostat1": zone(21.4567)})
    assert target(patch) == ack(21.46, 200, 2)


def test_a_component_without_its_marker_is_accepted():
    (patch,) = online().hub.desire({"thermostat1": {"targetTemperature": 30}})
    assert target(patch) == ack(30, 200, 2)


def test_a_rejected_value_is_answered_400_with_the_one_in_use():
    bench = online()
    bench.hub.desire({"thermostat1": zone(23)})
    (patch,) = bench.hub.desire({"thermostat1": zone(99)})
    assert patch["thermostat1"]["targetTemperature"]["ad"] == "outside 5 to 45"
    assert target(patch) == ack(23, 400, 3)
    assert bench.zones["thermostat1"].target == 23


def test_wrong_types_are_answered_400_and_never_reach_the_application():
    bench = online()
    bench.zones["thermostat1"].applied.clear()
    bad = ("21", True, [21], {"value": 21}, {}, float("inf"), 10**400, "")
    for value in bad:
        bench.device.on_desired({"thermostat1": zone(value), "$version": bench.version()})
        (patch,) = bench.hub.drain()
        assert patch["thermostat1"]["targetTemperature"]["ad"] == "expected double"
        assert target(patch) == ack(DEFAULT, 400, bench.device.desired_version)
    assert bench.zones["thermostat1"].applied == []


def test_a_failing_application_is_answered_500_and_keeps_its_words_to_itself():
    bench = online()
    bench.hub.desire({"thermostat1": zone(23)})
    bench.zones["thermostat1"].fails = True
    (patch,) = bench.hub.desire({"thermostat1": zone(24)})
    assert "fire" not in str(patch)
    assert target(patch) == ack(23, 500, 3)
    assert bench.log.has("error", "property targetTemperature failed: RuntimeError")
    assert bench.log.has("error", "the flash is on fire")


def test_null_restores_the_default():
    bench = online()
    bench.hub.desire({"thermostat1": zone(30)})
    (patch,) = bench.hub.desire({"thermostat1": zone(None)})
    assert target(patch) == ack(DEFAULT, 203, 0)
    assert bench.zones["thermostat1"].target == DEFAULT


def test_null_for_a_component_restores_all_its_defaults():
    bench = online()
    bench.hub.desire({"thermostat2": zone(30)})
    (patch,) = bench.hub.desire({"thermostat2": None})
    assert target(patch, "thermostat2") == ack(DEFAULT, 203, 0)
    assert "thermostat1" not in patch


def test_all_components_of_a_patch_are_answered_in_one():
    patches = online().hub.desire({"thermostat1": zone(25), "thermostat2": zone(99)})
    assert len(patches) == 1
    assert target(patches[0], "thermostat1") == ack(25, 200, 2)
    assert target(patches[0], "thermostat2") == ack(DEFAULT, 400, 2)


def test_all_properties_of_a_component_are_answered_each_with_its_own_value():
    bench = Bench()
    interface = bench.device.component("thermostat1").interface
    interface.properties["fanSpeed"] = ("integer", True)
    bench.device.component("thermostat1").bind_property("fanSpeed", lambda value: value, 1)
    bench.hub.connect()
    (patch,) = bench.hub.desire(
        {"thermostat1": {"__t": "c", "targetTemperature": 25, "fanSpeed": 3}}
    )
    assert target(patch) == ack(25, 200, 2)
    assert bare(patch["thermostat1"]["fanSpeed"]) == ack(3, 200, 2)


# What is left alone


def test_unknown_and_read_only_names_are_left_alone_and_logged_once():
    bench = online()
    strange = {
        "colour": "red",
        "serialNumber": "mine",
        "thermostat9": zone(20),
        "thermostat1": {"__t": "c", "maxTempSinceLastReboot": 5, "tint": 1},
        "thermostat2": 5,
        "deviceInformation": [1],
    }
    for _ in range(3):
        assert bench.hub.desire(strange) == []
    warnings = [text for level, text in bench.log.records if level == "warning"]
    assert len(warnings) == 7, warnings
    assert len([text for text in warnings if text.startswith("desired 'colour' is")]) == 1
    assert bench.zones["thermostat2"].target == DEFAULT


def test_components_stand_at_the_root_alone():
    bench = online()
    assert bench.hub.desire({"thermostat1": {"thermostat2": zone(30)}}) == []
    assert bench.zones["thermostat2"].target == DEFAULT
    bench = Bench(dtmi=THERMOSTAT)
    bench.hub.connect()
    assert bench.hub.desire({"": {"targetTemperature": 30}}) == []


def test_a_flood_of_unknown_names_falls_silent():
    bench = online()
    for i in range(200):
        assert bench.hub.desire({"name%d" % i: i}) == []
    assert len([text for level, text in bench.log.records if level == "warning"]) == 16


def test_keys_that_are_no_strings_are_left_alone():
    bench = online()
    bench.device.on_desired({1: 2, None: 3, 1.5: {}, "thermostat1": {5: 5}, "$version": 2})
    assert bench.hub.drain() == []


def test_things_that_are_no_patch_change_nothing():
    bench = online()
    for patch in (None, 5, [], "text", {}, {"thermostat1": zone(30)}, {"$version": 9}):
        bench.device.on_desired(patch)
    for version in (True, "7", 7.0, None, [], float("inf"), 10**400, -3, 0):
        bench.device.on_desired({"thermostat1": zone(30), "$version": version})
    assert bench.hub.drain() == []
    assert bench.zones["thermostat1"].target == DEFAULT


# Versions


def test_an_old_patch_is_ignored():
    bench = online()
    bench.hub.desire({"thermostat1": zone(25)}, version=7)
    bench.device.on_desired({"thermostat1": zone(30), "$version": 6})
    assert bench.hub.drain() == []
    assert bench.zones["thermostat1"].target == 25


def test_an_old_patch_is_not_answered_even_if_its_answer_still_stands():
    bench = online()
    bench.hub.desire({"thermostat1": zone(25)}, version=6)
    bench.hub.desire({"thermostat2": zone(25)}, version=7)
    bench.device.on_desired({"thermostat1": zone(25), "$version": 6})
    assert bench.hub.drain() == []


def test_before_the_twin_was_read_no_version_is_too_low():
    bench = Bench()
    assert bench.device.desired_version == 0
    bench.device.on_desired({"thermostat1": zone(25), "$version": 1})
    (patch,) = bench.hub.drain()
    assert target(patch) == ack(25, 200, 1)


def test_before_the_twin_was_read_a_patch_without_a_version_is_none():
    bench = Bench()
    for version in (None, "1", True, 0, -1, 10**400):
        bench.device.on_desired({"thermostat1": zone(25), "$version": version})
    assert bench.hub.drain() == []
    assert bench.device.desired_version == 0


def test_a_version_that_no_hub_can_have_counted_to_is_none():
    bench = online()
    bench.device.on_desired({"thermostat1": zone(25), "$version": (1 << 52) + 1})
    assert bench.hub.drain() == []
    bench.device.on_desired({"thermostat1": zone(25), "$version": 1 << 52})
    (patch,) = bench.hub.drain()
    assert target(patch) == ack(25, 200, 1 << 52)


def test_a_repeated_patch_is_answered_again_and_applied_once():
    bench = online()
    patch = {"thermostat1": zone(25), "$version": 7}
    applied = bench.zones["thermostat1"].applied
    applied.clear()
    for _ in range(3):
        bench.device.on_desired(patch)
        (report,) = bench.hub.drain()
        assert target(report) == ack(25, 200, 7)
        assert list(report) == ["thermostat1"]
    assert applied == [25]


def test_a_twin_whose_version_fell_is_the_truth():
    bench = online()
    bench.hub.desire({"thermostat1": zone(25), "thermostat2": zone(26)}, version=50)
    bench.hub.desired = {"$version": 3, "thermostat1": zone(19)}
    bench.hub.reported = {"$version": 1}
    (patch,) = bench.hub.connect()
    assert target(patch) == ack(19, 200, 3)
    assert target(patch, "thermostat2") == ack(DEFAULT, 203, 0)
    (patch,) = bench.hub.desire({"thermostat1": zone(18)})
    assert target(patch) == ack(18, 200, 4)


def test_reports_do_not_wait_for_a_twin_that_cannot_be_read():
    bench = Bench()
    bench.device.component().report("connectivity", "wifi")
    assert bench.hub.drain() == [{"connectivity": "wifi"}]


# Reconciliation


def test_the_first_connect_reports_defaults():
    (patch,) = Bench().hub.connect()
    assert target(patch) == ack(DEFAULT, 203, 0)
    assert target(patch, "thermostat2") == ack(DEFAULT, 203, 0)


def test_a_second_connect_reports_nothing_that_the_hub_holds():
    bench = online()
    bench.device.component().report("serialNumber", "abc")
    bench.hub.desire({"thermostat1": zone(25), "thermostat2": zone(99)})
    assert bench.hub.connect() == []
    assert bench.restart().hub.connect() == []


def test_what_was_desired_while_away_is_applied_and_answered():
    bench = online()
    bench.hub.write_desired({"thermostat1": zone(31)})
    (patch,) = bench.hub.connect()
    assert target(patch) == ack(31, 200, 2)
    assert bench.zones["thermostat1"].target == 31


def test_what_was_removed_while_away_goes_back_to_the_default():
    bench = online()
    bench.hub.desire({"thermostat1": zone(31)})
    bench.hub.write_desired({"thermostat1": None})
    (patch,) = bench.hub.connect()
    assert target(patch) == ack(DEFAULT, 203, 0)
    assert bench.zones["thermostat1"].target == DEFAULT


def test_a_reported_section_that_was_changed_is_set_right():
    bench = online()
    for held in (5, [], {"targetTemperature": 5}, {"targetTemperature": ack(7, 203, 0)}, None):
        bench.hub.reported["thermostat1"] = held
        (patch,) = bench.hub.connect()
        assert target(patch) == ack(DEFAULT, 203, 0)
    bench.hub.reported["thermostat1"]["targetTemperature"]["ad"] = "other words"
    assert bench.hub.connect() == []


def test_a_twin_that_cannot_be_read_takes_nothing_away():
    bench = online()
    bench.hub.desire({"thermostat1": zone(31)})
    for document in (
        None,
        [],
        5,
        {},
        {"desired": []},
        {"desired": {}},
        {"desired": {"$version": "3"}, "reported": {}},
        {"desired": {"thermostat1": 5, "$version": 9}, "reported": 7},
    ):
        bench.device.on_twin(document)
        assert bench.zones["thermostat1"].target == 31
    assert bench.log.has("error", "a twin without a desired $version")


def test_read_only_properties_are_reported_when_they_differ():
    bench = Bench()
    information = bench.device.component("deviceInformation")
    information.report("totalMemory", 264.0)
    information.report("model", "Pico")
    bench.device.component().report("connectivity", "wifi")
    (patch,) = bench.hub.connect()
    assert patch["connectivity"] == "wifi"
    assert patch["deviceInformation"] == {"__t": "c", "totalMemory": 264.0, "model": "Pico"}
    information.report("model", "Pico")
    assert bench.hub.drain() == []
    information.report("model", "Pico 2")
    assert bench.hub.drain() == [{"deviceInformation": {"__t": "c", "model": "Pico 2"}}]
    bench.hub.reported["deviceInformation"]["totalMemory"] = 264
    assert bench.hub.connect() == []


# Reports that get lost


def test_a_report_without_an_answer_is_told_again():
    bench = online()
    bench.hub.is_cut = True
    bench.device.on_desired({"thermostat1": zone(25), "$version": 2})
    first = bench.device.next_report()
    assert bench.device.next_report() is None
    bench.device.on_report_lost()
    assert bench.device.next_report() == first
    bench.device.on_reported(204)
    assert bench.device.next_report() is None


def test_a_report_that_arrived_though_its_answer_was_lost_is_not_repeated():
    bench = online()
    bench.hub.is_cut = True
    assert len(bench.hub.desire({"thermostat1": zone(25)})) == 1
    bench.device.on_report_lost()
    bench.hub.is_cut = False
    assert bench.hub.connect() == []


def test_a_change_while_a_report_is_out_follows_it():
    bench = online()
    bench.device.on_desired({"thermostat1": zone(25), "$version": 2})
    assert target(bench.device.next_report()) == ack(25, 200, 2)
    bench.device.on_desired({"thermostat1": zone(26), "$version": 3})
    assert bench.device.next_report() is None
    bench.device.on_reported(204)
    assert target(bench.device.next_report()) == ack(26, 200, 3)
    bench.device.on_report_lost()
    assert target(bench.device.next_report()) == ack(26, 200, 3)


def test_a_report_that_the_hub_put_off_is_told_again():
    bench = online()
    for status in (429, 500, 503, 0):
        bench.device.on_desired({"thermostat1": zone(25), "$version": bench.version()})
        first = bench.device.next_report()
        bench.device.on_reported(status)
        assert bench.device.next_report() == first
        bench.device.on_reported(204)
        assert bench.device.next_report() is None


def test_a_report_that_is_hopeless_is_dropped_until_the_next_connect():
    bench = online()
    for status in (400, 413):
        bench.device.on_desired({"thermostat1": zone(26), "$version": bench.version()})
        assert len(bench.hub.drain(status)) == 1
        assert bench.device.next_report() is None
        assert bench.log.has("error", "refused a reported patch with %d" % status)
    bench.hub.desired = {"thermostat1": zone(26), "$version": bench.device.desired_version}
    (patch,) = bench.hub.connect()
    assert target(patch) == ack(26, 200, 3)


def test_reports_are_split_to_fit_and_nothing_is_left_behind():
    names = ("manufacturer", "model", "swVersion", "osName", "processorManufacturer")
    for limit in range(200, 330):
        settings = Settings()
        settings.report_bytes = limit
        bench = Bench(settings)
        for name in names:
            bench.device.component("deviceInformation").report(name, "é" + "x" * 50)
        bench.device.component().report("serialNumber", "y" * 60)
        patches = bench.hub.connect()
        assert 2 <= len(patches) <= 7
        sizes = [len(json.dumps(patch).encode()) for patch in patches]
        assert max(sizes) <= limit, (limit, sizes)
        assert len(bench.hub.reported["deviceInformation"]) == 6
        assert bench.hub.connect() == []


def test_a_report_may_fill_its_room_to_the_last_byte():
    # Separators after the last property, and after its component, are counted but not written
    for name, properties, spare_bytes in (
        ("deviceInformation", ("model", "osName"), 4),
        ("", ("serialNumber", "connectivity"), 2),
    ):
        found = []
        for limit in range(200, 330):
            settings = Settings()
            settings.report_bytes = limit
            bench = Bench(settings)
            bench.hub.connect()
            bench.device.component(name).report(properties[0], "x" * 90)
            bench.device.component(name).report(properties[1], "y" * 80)
            first = bench.hub.drain()[0]
            found.append(limit - len(json.dumps(first)))
        assert min(found) == spare_bytes, found


def test_a_value_that_fits_no_report_is_dropped_and_told_once():
    bench = online()
    bench.device.component("deviceInformation").report("model", "9" * 1401)
    assert len(bench.hub.drain()) == 1
    for length in (1402, 1410, 1490, 4000):
        bench = online()
        bench.device.component("deviceInformation").report("model", "9" * length)
        bench.device.component().report("connectivity", "wifi")
        assert bench.hub.drain() == [{"connectivity": "wifi"}]
        assert bench.hub.drain() == []
        errors = [text for level, text in bench.log.records if level == "error"]
        assert errors == ["property model has %d bytes: too large to report" % (length + 13)]


def test_our_own_mistakes_are_told_at_once():
    bench = Bench()
    root = bench.device.component()
    for name, value in (("serialNumber", 5), ("connectivity", None)):
        with raises(ValueError, name):
            root.report(name, value)
    zone_component = bench.device.component("thermostat1")
    with raises(KeyError):
        zone_component.report("colour", "red")
    with raises(KeyError):
        zone_component.report("connectivity", "wifi")
    with raises(AssertionError, "is writable"):
        zone_component.report("targetTemperature", 5.0)
    with raises(AssertionError, "read-only"):
        zone_component.bind_property("maxTempSinceLastReboot", None, 0)
    with raises(AssertionError, "no command reboot"):
        zone_component.bind_command("reboot", None)


# What the application answers


class Application:
    """A thermostat's set point that takes every value, unless it is told to raise `error`."""

    def __init__(self, in_use=None):
        self.error = None
        self.bench = Bench(dtmi=THERMOSTAT)
        self.device = self.bench.device
        component = self.device.component()
        component.properties.clear()
        component.bind_property("targetTemperature", self.apply, 20, in_use)
        self.device.on_twin({"desired": {"$version": 1, "targetTemperature": 22}, "reported": {}})
        self.bench.hub.drain()

    def apply(self, value):
        if self.error:
            raise self.error
        return value

    def desire(self, value, version):
        """The answer to a desired value."""
        self.device.on_desired({"targetTemperature": value, "$version": version})
        (patch,) = self.bench.hub.drain()
        return patch["targetTemperature"]


def test_the_value_at_start_stays_in_use_until_another_is_taken():
    for in_use, expected in ((31, 31), (0, 0), (None, 20)):
        bench = Bench(dtmi=THERMOSTAT)
        component = bench.device.component()
        component.properties.clear()
        component.bind_property("targetTemperature", lambda value: value, 20, in_use)
        bench.hub.desired = {"targetTemperature": "hot", "$version": 5}
        (patch,) = bench.hub.connect()
        assert bare(patch["targetTemperature"]) == ack(expected, 400, 5)


def test_a_rejection_may_leave_the_value_or_name_another():
    application = Application()
    application.error = Rejected("too hot")
    assert application.desire(90, 6) == {"value": 22, "ac": 400, "av": 6, "ad": "too hot"}
    application.error = Rejected("too hot", 0)
    assert application.desire(90, 7) == {"value": 0, "ac": 400, "av": 7, "ad": "too hot"}


def test_a_reason_is_cut():
    application = Application()
    application.error = Rejected("long " * 100)
    assert len(application.desire(90, 6)["ad"]) == 80


def test_a_default_that_is_rejected_says_so():
    application = Application()
    application.error = Rejected("no default today")
    assert bare(application.desire(None, 8)) == ack(22, 400, 8)
    # Nor is one taken that nobody desired, of a whole twin
    application.device.on_twin({"desired": {"$version": 9}})
    (patch,) = application.bench.hub.drain()
    assert bare(patch["targetTemperature"]) == ack(22, 400, 9)
    application.error = OSError(28)
    assert bare(application.desire(None, 10)) == ack(22, 500, 10)


def test_the_default_of_a_component_that_is_rejected_says_so():
    bench = online()
    bench.zones["thermostat1"].fails = True
    (patch,) = bench.hub.desire({"thermostat1": None}, version=8)
    assert target(patch) == ack(DEFAULT, 500, 8)


def test_an_answer_has_a_word_for_people():
    application = Application()
    assert application.desire(25, 5)["ad"] == "ok"
    assert application.desire(None, 6)["ad"] == "default"
    application.error = OSError(28)
    assert application.desire(25, 7)["ad"] == "failure"


def test_an_answer_is_repeated_for_its_version_and_for_a_default():
    application = Application()
    assert bare(application.desire(25, 5)) == ack(25, 200, 5)
    application.error = Rejected("no second effect")
    assert bare(application.desire(25, 5)) == ack(25, 200, 5)
    application.device.on_desired({"targetTemperature": 25, "$version": 4})
    application.device.on_desired({"other": 25, "$version": 5})
    assert application.bench.hub.drain() == []
    application.error = None
    assert bare(application.desire(None, 6)) == ack(20, 203, 0)
    assert bare(application.desire(None, 6)) == ack(20, 203, 0)
