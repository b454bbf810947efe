"""The Plug and Play device: what the session calls for twin, commands and messages.

The methods `on_...` and `next_report` are called from within the session's `step()` and return
at once. None of them raises for what the hub sent; only a callback for messages may, and then
the message is not acknowledged.
"""

from pnp.commands import answer
from pnp.component import Component
from pnp.report import Reporter
from pnp.twin import Twin


class Device:
    """A device of `model` (pnp.model.Model). Bind its components before the session starts.

    `settings.report_bytes`: the largest reported patch as JSON, which with its topic must fit the
    session's send buffer; `settings.logged_bytes`: of a message's data and properties.
    """

    def __init__(self, model, clock, log, settings):
        self.model = model
        self.message_count = 0
        self.last_message_time = 0  # Unix seconds, 0 for none or an unknown date
        self.message_callback = None  # callback(payload: bytes, properties: dict)
        self._settings = settings
        self._clock = clock
        self._log = log
        self._components = [
            Component(name, interface, log) for name, interface in model.components
        ]
        self._twin = Twin(self._components, log)
        self._reporter = Reporter(self._components, log, settings)

    def component(self, name=""):
        """The Component of that name, the root for ""; None if the model has none."""
        for component in self._components:
            if component.name == name:
                return component
        return None

    @property
    def desired_version(self):
        """The desired `$version` that was applied last; 0 before the first reading."""
        return self._twin.version

    @property
    def accepted_count(self):
        """Desired values that were applied and acknowledged with 200."""
        return self._twin.accepted_count

    @property
    def rejected_count(self):
        """Desired values that were refused with 400."""
        return self._twin.rejected_count

    def on_twin(self, document):
        """The whole twin was read, after a connect."""
        self._reporter.on_report_lost()
        self._twin.on_twin(document)

    def on_desired(self, patch):
        """The hub sent a patch of the desired section."""
        self._twin.on_desired(patch)

    def on_command(self, name, payload):
        """(status, response) for the command `name`; `payload` is parsed JSON or None."""
        return answer(self._components, name, payload, self._log)

    def on_message(self, payload, properties):
        """A message from the cloud; it counts as handled when this returns."""
        longest = self._settings.logged_bytes
        self._log.info(
            "message of %d bytes: %s with %s",
            len(payload),
            _shown(bytes(payload[:longest]), longest),
            _shown(properties, longest),
        )
        if self.message_callback is not None:
            self.message_callback(payload, properties)
        self.message_count += 1
        self.last_message_time = self._clock.unix_time()

    def on_online(self):
        """The session is through with what a connect needs."""
        self._log.info("announced as %s", self.model.dtmi)

    def next_report(self):
        """What the hub is to be told next (dict), or None."""
        return self._reporter.next_report()

    def on_reported(self, status):
        """The hub answered the last report."""
        self._reporter.on_reported(status)

    def on_report_lost(self):
        """The last report will not be answered."""
        self._reporter.on_report_lost()


def _shown(value, longest):
    """`value` in printable characters (`repr` escapes what is not), cut to `longest`."""
    text = repr(value)
    return text if len(text) <= longest else text[:longest] + "..."
