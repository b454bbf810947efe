"""Which hub a board was assigned: kept, used for what it was asked for, and forgotten."""

import asyncio
import os

from doubles import folders
from doubles.dps_script import ASSIGNING, DpsBench, FakeService
from doubles.keys import KEY, KEY_BYTES
from doubles.log import FakeLog
from expect import raises
from iothub.identity import IdentityError
from system.store import Store
from thermostat import provisioning

FOLDER = "build/tests/provisioning-%d" % int.from_bytes(os.urandom(3), "big")
PATH = FOLDER + "/assigned.json"


class Settings:
    def __init__(self, **members):
        self.provisioning = {
            "host": "dps.example.net",
            "id_scope": "0ne00A1B2C3",
            "registration_id": "stove-1",
            "key": KEY,
        }
        self.provisioning.update(members)


def ask(bench, folder=FOLDER):
    """Run until the service has answered; the ms at which somebody was told that it goes on."""
    alive = []

    async def main():
        task = asyncio.create_task(
            provisioning.run(
                bench.provisioning,
                bench.clock,
                lambda: alive.append(bench.clock.source.milliseconds),
                folder,
            )
        )
        await bench.clock.run_for(60_000, 50)
        assert task.done()
        await task

    asyncio.run(main())
    return alive


def connection_string(**members):
    return provisioning.connection_string(FOLDER, Settings(**members))


def test_without_an_answer_there_is_no_connection():
    folders.empty(FOLDER)
    assert connection_string() == ""


def test_the_answer_is_kept_and_used():
    folders.empty(FOLDER)
    ask(DpsBench())
    assert Store(PATH).load() == {
        "scope": "0ne00A1B2C3",
        "registration": "stove-1",
        "host": "hub.example.net",
        "device": "stove-1",
    }
    text = "HostName=hub.example.net;DeviceId=stove-1;"
    assert connection_string() == text + "SharedAccessKey=" + KEY
    for key in ("", None):
        assert connection_string(key=key) == text + "x509=true"
    # The key is where it was, and nowhere else
    with open(PATH) as file:
        assert KEY not in file.read()


def test_whoever_supervises_hears_of_it_while_the_service_takes_its_time():
    folders.empty(FOLDER)
    alive = ask(DpsBench(FakeService([(202, ASSIGNING, 20), (202, ASSIGNING, 9)])))
    assert alive[-1] - alive[0] >= 29_000
    for at in range(1, len(alive)):
        assert alive[at] - alive[at - 1] <= 1100


def test_an_answer_for_somebody_else_does_not_count():
    """Another scope or registration was configured: the service is asked for that one."""
    folders.empty(FOLDER)
    ask(DpsBench())
    assert connection_string(id_scope="0ne00000000") == ""
    assert connection_string(registration_id="stove-2") == ""
    assert connection_string() != ""


def test_an_answer_that_cannot_be_read_is_asked_for_again():
    for text in ("", "{", "[]", '{"scope": "0ne00A1B2C3", "registration": "stove-1"}'):
        folders.empty(FOLDER)
        with open(PATH, "w") as file:
            file.write(text)
        assert connection_string() == "", text
        ask(DpsBench())
        assert connection_string() != "", text


def test_what_is_doubted_is_asked_for_again():
    folders.empty(FOLDER)
    provisioning.doubt(FOLDER, FakeLog())
    assert os.listdir(FOLDER) == []
    ask(DpsBench())
    assert provisioning.doubt_from_s(FOLDER) == 0
    first = connection_string()
    for _ in range(2):
        provisioning.doubt(FOLDER, FakeLog())
        assert connection_string() == ""
        ask(DpsBench())
        # The same answer is doubted after a day only
        assert (connection_string(), provisioning.doubt_from_s(FOLDER)) == (first, 86400)


def test_another_answer_than_the_one_that_was_doubted_counts_like_a_first_one():
    for key, value in (("host", "old.example.net"), ("device", "x"), ("scope", "0ne00000000")):
        folders.empty(FOLDER)
        ask(DpsBench())
        kept = Store(PATH).load()
        kept[key], kept["refused"] = value, True
        Store(PATH).save(kept)
        ask(DpsBench())
        assert "HostName=hub.example.net;" in connection_string()
        assert provisioning.doubt_from_s(FOLDER) == 0


def test_who_asks_is_the_registration_in_its_scope():
    who = provisioning.identity(Settings())
    assert (who.host, who.device_id) == ("0ne00A1B2C3", "stove-1")
    assert (who.dial_host, who.key) == ("dps.example.net", KEY_BYTES)
    who = provisioning.identity(Settings(key=""))
    assert (who.dial_host, who.key) == ("dps.example.net", None)


def test_a_key_that_is_none_is_an_error_that_does_not_show_it():
    with raises(IdentityError, "not base64") as caught:
        provisioning.identity(Settings(key="no key!"))
    assert "no key!" not in str(caught.error)
