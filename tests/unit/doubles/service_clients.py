"""Microsoft's service clients, answering as a test says, and connection strings for them."""

import types

from doubles.keys import KEY

HOST = "hub.azure-devices.net"
SERVICE = f"HostName={HOST};SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}"
EVENTS = f"Endpoint=sb://events;SharedAccessKeyName=o;SharedAccessKey={KEY};EntityPath=e"
VARIABLES = (
    "AZURE_URL",
    "DPS_CONNECTION_STRING",
    "EVENT_HUB_CONN_STR",
    "IOTHUB_CONNECTION_STRING",
    "IOTHUB_HOSTNAME",
    "SSL_CERT_FILE",
)


def thing(**members):
    """An object of an SDK's: its members are all that a verb looks at."""
    return types.SimpleNamespace(**members)


def reading(found, note):
    """In the place of `read_events`: what is in `found.coming`, exceptions among it, then nothing
    until it is over. `note(connection, group, start)`: what was asked for."""

    def read(connection, group, start, is_over):
        note(connection, group, start)
        for each in found.coming:
            if isinstance(each, BaseException):
                raise each
            yield each
        while not is_over():
            pass

    return read


class Client:
    """Answers each call by the next of `answers[its name]`, the last one again and again; raises
    those that are exceptions, calls those that can be called. `calls` is what was asked."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def __getattr__(self, name):
        def answer(*arguments, **options):
            self.calls.append((name, *arguments, *options.values()))
            found = self.answers.get(name)
            if isinstance(found, list):
                found = found.pop(0) if len(found) > 1 else found[0]
            if isinstance(found, BaseException):
                raise found
            return found(*arguments, **options) if callable(found) else found

        return answer

    def asked(self, name):
        return [arguments for called, *arguments in self.calls if called == name]


def refusal(status, body="", error=Exception, reason=None):
    """What an SDK raises when the service says no."""
    found = error("no")
    found.response = thing(status_code=status, text=body, reason=reason)
    return found
