"""Runs on MicroPython: what people, power cuts and bit rot make of the files on the flash.

files.py configuration|store|setpoints COUNT SEED
"""

import json
import random
import sys

from doubles.clock import FakeClock
from doubles.damage import JSON_MARKS, JSON_TRAPS, Damage, parts, report
from doubles.fs import FakeFlash
from doubles.keys import KEY
from doubles.log import FakeLog
from drivers.registry import kinds
from system import store
from system.store import Store
from thermostat import settings
from thermostat.kept import restore
from thermostat.setpoints import SetPoints

PASSWORD = "Drei Igel, 42 Nadeln"
OTHER_KEY = "cHJvdmlzaW9uaW5nIGtleSBvZiBhIHN0b3Zl"
WRITTEN = (
    '{"version":1,"connection_string":"HostName=hub.example.net;DeviceId=stove-1;'
    "SharedAccessKey="
    + KEY
    + '","wifi":{"ssid":"home","password":"'
    + PASSWORD
    + '","country":"DE"},'
    '"ntp_servers":["time.windows.com","10.0.0.1:123"],"root_certificates":["hub-ca.der"]}',
    '{"version":1,"provisioning":{"host":"dps.example.net","id_scope":"0ne1","registration_id":'
    '"stove-1","key":"' + OTHER_KEY + '"},"wifi":{"password":"' + PASSWORD + '","ssid":"home"},'
    '"log_level":"debug"}',
    '{"version":1,"zones":[{"name":"thermostat1","sensor":"sht4x","address":68,"relay":0,'
    '"target_c":21.5,"calibration_c":-0.5},{"name":"thermostat2","present":false,"sensor":'
    '"ds18b20","bus":1,"address":"28-0000075a1b2c","relay":null,"target_c":5}]}',
    '{"version":1,"control":{"sample_period_ms":1000,"hysteresis_c":0.5,"frost_limit_c":4,'
    '"ceiling_c":50.0,"target_lowest_c":10,"target_highest_c":26.5,"sensor_lost_s":30},'
    '"telemetry":{"zone_period_s":60},"connection":{"send_bytes":4096,"report_bytes":1500},'
    '"certificate":"device.der","private_key":"device.key.der"}',
)
BOUNDS = b"0 1 2 -1 0.99 5 5.01 4.0 45 45.01 55 60 61 -40 126 4294967296 1e99 -1e-9 0.005".split()
TRAPS = list(JSON_TRAPS) + BOUNDS
# Of a secret, each run of so many characters is looked for in what is told: every fourth one
SHOWN = 8
SECRETS = [
    each[at : at + SHOWN]
    for each in (KEY, PASSWORD, OTHER_KEY)
    for at in range(0, len(each) - SHOWN + 1, 4)
]
PATH = "/" + settings.CONFIGURATION
TABLES = {
    name: [json.loads(word) if at % 4 else word for at, word in enumerate(rows.split())]
    for name, rows in settings.TABLES.items()
}


def sealed(text):
    """What the store itself writes of `text`, an object."""
    body = b"," + text[1:]
    return b'{"seal":"' + store._seal(body) + b'"' + body


def check_bounds(name, section):
    """Everything lies where its table says."""
    rows = TABLES[name]
    for at in range(0, len(rows), 4):
        key, default, lowest, highest = rows[at : at + 4]
        value = getattr(section, settings.attribute(key))
        scale = 100 if key.endswith("_c") else 1
        if key in TABLES and key != "zones":
            if key != "provisioning":
                check_bounds(key, value)
        elif type(default) in (int, float) and key != "log_level":
            assert lowest * scale <= value <= highest * scale, (key, value)


def check_heat(found):
    """Set points and limits, in the words of the promise and not of the code."""
    control = found.control
    lowest, highest = control.target_lowest_centi_c, control.target_highest_centi_c
    assert 100 <= control.frost_limit_centi_c < lowest <= highest, "limits"
    assert highest < control.ceiling_centi_c <= 6000, "ceiling"
    assert 1 <= len(found.zones) <= 4
    for zone in found.zones:
        assert type(zone.target_centi_c) is int
        assert lowest <= zone.target_centi_c <= highest, zone.target_centi_c
        assert -1000 <= zone.calibration_centi_c <= 1000
        check_bounds("zones", zone) if type(zone.address) is not str else None


def told(log, *errors):
    """All that anybody may read of it."""
    return " ".join([log.text()] + [str(error) for error in errors if error])


def check_told(text):
    for secret in SECRETS:
        assert secret not in text, text


class Files:
    """The settings of a folder; `flash` is put before the store where it asks for a file."""

    def load(self, files):
        self.flash = FakeFlash(files)
        settings.Store = lambda path, validate: Store(path, self.flash, validate)
        log = FakeLog()
        found, trouble = settings.load("", kinds(), log)
        text = told(log, trouble)
        check_told(text)
        assert trouble is None or type(trouble) is store.ConfigurationError
        if trouble is None:
            check_bounds("", found)
            check_heat(found)
        return found, trouble, text


class Configuration(Files):
    """A file written by hand; every other time one that somebody has sealed nevertheless."""

    def __init__(self):
        seeds = [parts(each.encode(), JSON_MARKS) for each in WRITTEN]
        self.damage = Damage(seeds, TRAPS)

    def hear(self, data):
        if data[:1] == b"{" and (random.randrange(2) or not self.damage.made):
            _, trouble, _ = self.load({PATH: sealed(data)})
            if self.damage.made:
                return trouble is None
        # What is replayed is heard both ways
        _, trouble, text = self.load({PATH: data})
        if trouble is None:
            # What was taken is sealed, and the same at the next start
            assert self.flash.files[PATH].startswith(b'{"seal":"'), "not sealed"
            _, again, _ = self.load(self.flash.files)
            assert again is None, again
        else:
            assert PATH in text, text
        return trouble is None


class Sealed(Files):
    """Bit rot in a sealed file, beside a former one that is whole, every other time."""

    def __init__(self):
        self.whole = [sealed(each.encode()) for each in WRITTEN]
        self.damage = Damage([parts(each, JSON_MARKS) for each in self.whole], TRAPS)

    def hear(self, data):
        former = random.randrange(2)
        files = {PATH: data}
        if former:
            files[PATH + ".bak"] = self.whole[random.randrange(4)]
        _, trouble, _ = self.load(files)
        if former:
            assert trouble is None, trouble
        if data.startswith(b'{"seal"') and data not in self.whole:
            assert former or trouble, "damaged, and taken"
        return trouble is None


class Kept:
    """The file of the set points, sealed anew after the damage every other time."""

    def __init__(self):
        text = b'{"version":1,"targets":{"thermostat1":2100,"thermostat2":6000}}'
        self.damage = Damage([parts(text, JSON_MARKS)], TRAPS + [b"6001", b'"thermostat1"'])

    def hear(self, data):
        if data[:1] == b"{" and random.randrange(2):
            data = sealed(data)
        log, names = FakeLog(), ["thermostat1", "thermostat2"]
        found = SetPoints("/s.json", FakeClock(), log, FakeFlash({"/s.json": data}))
        restore(found, names)
        for name, target in found.targets.items():
            assert name in names
            assert type(target) is int
            assert 0 <= target <= 6000, target
        return not log.records


# Made anew for each file that is refused, they would be what takes the time
DEFAULTS = settings.defaults()
settings.defaults = lambda: DEFAULTS
KINDS = {"configuration": Configuration, "store": Sealed, "setpoints": Kept}
report(KINDS[sys.argv[1]](), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
