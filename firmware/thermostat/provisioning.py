"""Which hub the provisioning service has named, kept in a file; and the way there.

    assigned.json   beside the configuration: whose it is (id scope, registration id), and the
                    hub and device id that were assigned

A board without it asks the service, keeps the answer, and restarts: so everything that only
asking needed is out of the heap, and the connection is built as from a connection string. A hub
that refuses the device again and again makes the board forget the answer, and so ask anew.
In the heap only when needed.
"""

from iothub.identity import parse
from system.store import ConfigurationError, Store

_NAME = "/assigned.json"


def connection_string(folder, settings):
    """Of the hub that was assigned to this configuration, "" if none was.

    Raises IdentityError for a key that is none.
    """
    wanted = settings.provisioning
    found = _kept(folder)
    if not found or found.get("scope") != wanted["id_scope"]:
        return ""
    if found.get("registration") != wanted["registration_id"]:
        return ""
    key = wanted.get("key")
    secret = "SharedAccessKey=" + key if key else "x509=true"
    return "HostName=%s;DeviceId=%s;%s" % (found["host"], found["device"], secret)


def identity(settings):
    """Who asks the service, see iothub.dps. Raises IdentityError."""
    wanted = settings.provisioning
    key = wanted.get("key")
    secret = "SharedAccessKey=" + key if key else "x509=true"
    parts = wanted["host"], wanted["registration_id"], secret
    who = parse("HostName=%s;DeviceId=%s;%s" % parts)
    who.host = wanted["id_scope"]
    return who


async def run(provisioning, clock, alive, folder):
    """Ask until there is an answer, and keep it. Raises OSError if the flash does not take it."""
    while provisioning.state != "assigned":
        delay_ms = provisioning.step()
        alive()
        await clock.sleep_ms(delay_ms)
    asked = provisioning.identity
    _store(folder).save(
        {
            "scope": asked.host,
            "registration": asked.device_id,
            "host": provisioning.host,
            "device": provisioning.device_id,
        }
    )


def forget(folder):
    """The answer counts no more."""
    _store(folder).remove()


def _store(folder):
    return Store(folder + _NAME)


def _kept(folder):
    """None if there is none that can be used: then it is asked for again."""
    try:
        return _store(folder).load()
    except ConfigurationError:
        return None
