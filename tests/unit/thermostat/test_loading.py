import os

from doubles.log import FakeLog
from thermostat.loading import load

# Tests run side by side, and each may be the first
FOLDER = "build/tests/loading-%d" % int.from_bytes(os.urandom(3), "big")
PATH = FOLDER + "/config.json"


def load_text(text):
    """(settings, trouble, log) of a configuration with this text; None: there is no file."""
    for folder in ("build", "build/tests", FOLDER):
        try:
            os.mkdir(folder)
        except OSError:
            pass
    for name in os.listdir(FOLDER):
        if name.startswith("config.json"):
            os.remove(FOLDER + "/" + name)
    if text is not None:
        with open(PATH, "w") as file:
            file.write(text)
    log = FakeLog()
    settings, trouble = load(FOLDER, ["sht4x", "bme280"], log)
    return settings, trouble, log


def test_without_a_file_the_defaults_and_a_word_of_it():
    settings, trouble, log = load_text(None)
    assert trouble is None
    assert settings.control.tick_ms == 1000
    assert [zone.name for zone in settings.zones] == ["thermostat1", "thermostat2"]
    assert log.has("warning", "running without a network")


def test_what_the_file_says_is_used():
    zones = '"zones": [{"name": "hall", "sensor": "sht4x"}]'
    text = '{"version": 1, "control": {"tick_ms": 500}, %s}' % zones
    settings, trouble, _ = load_text(text)
    assert trouble is None
    assert settings.control.tick_ms == 500
    assert settings.zones[0].name == "hall"
    assert settings.wifi.ssid == ""


def test_a_file_that_cannot_be_used_leaves_the_defaults():
    for text in ("{", '{"version": 1, "colour": 3}', '{"version": 2}', "[]", ""):
        settings, trouble, _ = load_text(text)
        assert trouble is not None, text
        assert "config.json" in str(trouble), text
        assert settings.control.tick_ms == 1000


def test_nothing_of_it_keeps_the_code_that_read_it():
    settings, _, _ = load_text(None)
    for thing in (settings, settings.control, settings.connection, settings.zones[0]):
        assert type(thing).__name__ == "Plain"
