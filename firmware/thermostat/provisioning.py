"""Which hub the provisioning service has named, kept in a file; and the way there.

    assigned.json   beside the configuration: whose it is (id scope, registration id), and the
                    hub and device id that were assigned; "refused": that hub does not let the
                    device in; "confirmed": the service has named it again all the same

A board without it asks the service, keeps the answer, and restarts: so everything that only
asking needed is out of the heap, and the connection is built as from a connection string. A hub
that refuses the device again and again makes the board doubt the answer, and so ask anew. If it
gets the same one, somebody has to act: it is then doubted once a day, for each restart lets the
rooms go without heat for the minimum off time. In the heap only when needed.
"""

from iothub.identity import parse
from micropython import const
from system.store import ConfigurationError, Store

_NAME = "/assigned.json"
_DAY_S = const(86400)
# Before a flash that did not take the answer is tried again
_PAUSE_S = const(60)


def connection_string(folder, settings):
    """Of the hub that was assigned to this configuration, "" if none was, or it refuses us.

    Raises IdentityError for a key that is none.
    """
    wanted = settings.provisioning
    found = _kept(folder)
    if not found or found.get("refused") or found.get("scope") != wanted["id_scope"]:
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
    """Ask until there is an answer, and try until the flash has taken it."""
    while provisioning.state != "assigned":
        delay_ms = provisioning.step()
        alive()
        await clock.sleep_ms(delay_ms)
    is_told = False
    while True:
        try:
            _keep(provisioning, folder)
            provisioning.log.info("restarting, for the hub that was assigned")
            return
        except OSError as error:
            if not is_told:
                is_told = True
                provisioning.log.error("the answer cannot be kept, trying on: %s", error)
        for _ in range(_PAUSE_S):
            alive()
            await clock.sleep_ms(1000)


def _keep(provisioning, folder):
    asked = provisioning.identity
    found = {
        "scope": asked.host,
        "registration": asked.device_id,
        "host": provisioning.host,
        "device": provisioning.device_id,
    }
    former = _kept(folder)
    # The very answer that was doubted
    if former == dict(former or {}, refused=True, **found):
        found["confirmed"] = True
    _store(folder).save(found)


def doubt(folder, log):
    """The hub refuses the device: ask the service again. False if that cannot be kept."""
    try:
        found = _kept(folder)
        if found:
            found["refused"] = True
            _store(folder).save(found)
    except OSError as error:
        log.error("the hub refuses this device, which cannot be kept: %s", error)
        return False
    log.error("the hub refuses this device: asking the provisioning service again")
    return True


def doubt_from_s(folder):
    """Seconds of uptime from which a refusing hub is reason to doubt the answer."""
    found = _kept(folder)
    return _DAY_S if found and found.get("confirmed") else 0


def _store(folder):
    return Store(folder + _NAME)


def _kept(folder):
    """None if there is none that can be used: then it is asked for again."""
    try:
        return _store(folder).load()
    except ConfigurationError:
        return None
