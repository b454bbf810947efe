"""Properties of a component, with the acknowledgements of those that the service sets.

A property knows what the hub should hold of it, and whether it is still to be told:

1. clean: the hub holds it, or there is nothing to tell yet;
2. dirty: to be put into the next reported patch;
3. out: in a patch that waits for its answer. A change meanwhile makes it dirty besides, so that
   the newer value follows; a lost patch makes it dirty again.

Source: Microsoft, "IoT Plug and Play conventions", "Writable properties" (acknowledgement codes).
"""

from micropython import const

from pnp.schema import fault

ACCEPTED = const(200)
_BY_DEVICE = const(203)
INVALID = const(400)
_FAILED = const(500)

# Reasons travel in every acknowledgement; they are words, not essays
_LONGEST_REASON = const(80)
# A board's floats have 24 bits: what it reported comes back this much off
_FLOAT_PRECISION = const(1e-6)


class Rejected(Exception):
    """A desired value or a command payload that the application refuses; answered 400.

    `reason` is shown to the service. `value_in_use` is what a property keeps; None stands for
    the value that was in use before.
    """

    def __init__(self, reason, value_in_use=None):
        super().__init__(reason)
        self.reason = reason
        self.value_in_use = value_in_use


class Property:
    """A read-only property: what the device tells of itself."""

    is_writable = False

    def __init__(self, name, schema):
        self.name = name
        self.schema = schema
        self.value = None
        self.is_dirty = False
        self.is_out = False

    def set(self, value):
        """Have `value` reported, if it is not what was told last."""
        if not is_same(value, self.value):
            self.value = value
            self.is_dirty = True

    def report(self):
        """What belongs under the property's name in a reported patch."""
        return self.value

    def compare(self, held):
        """Decide from `held`, the reported section's value or None, whether to tell anything."""
        self.is_out = False
        self.is_dirty = self.is_known() and not self.is_held(held)

    def is_known(self):
        return self.value is not None

    def is_held(self, held):
        return is_same(held, self.value)


class WritableProperty(Property):
    """A property that the service sets; `value` is the one really in use.

    `apply(value)` returns the value then in use, or raises Rejected; `version` is the desired
    version that `code` answers, 0 for a value of the device's own.
    """

    is_writable = True

    def __init__(self, name, schema, apply, default, in_use, log):
        Property.__init__(self, name, schema)
        self.value = in_use
        self.code = 0
        self.version = 0
        self.reason = ""
        self._apply = apply
        self._default = default
        self._log = log

    def accept(self, value, version):
        """Apply a desired value, unless its type is wrong, and note the acknowledgement."""
        reason = fault(self.schema, value)
        if reason:
            self._note(INVALID, version, reason)
        else:
            self._try(value, ACCEPTED, version, "ok")

    def restore_default(self, version):
        """The desired value of `version` is gone: go back to the device's own."""
        self._try(self._default, _BY_DEVICE, version, "default")

    def repeat(self, version):
        """Tell again how `version` was answered, for a service that asks again."""
        if self.code and self.version in (0, version):
            self.is_dirty = True

    def report(self):
        return {"value": self.value, "ac": self.code, "av": self.version, "ad": self.reason}

    def is_known(self):
        return self.code != 0

    def is_held(self, held):
        if not isinstance(held, dict):
            return False
        if not is_same(held.get("ac"), self.code) or not is_same(held.get("av"), self.version):
            return False
        return is_same(held.get("value"), self.value)

    def _try(self, value, code, version, reason):
        try:
            self.value = self._apply(value)
        except Rejected as refusal:
            if refusal.value_in_use is not None:
                self.value = refusal.value_in_use
            code, reason = INVALID, refusal.reason
        except Exception as error:  # noqa: BLE001 - whatever the application raises is answered
            self._log.error("property %s failed: %r", self.name, error)
            code, reason = _FAILED, "failure"
        self._note(code, version, reason)

    def _note(self, code, version, reason):
        self.code = code
        # A default was never asked for by any version
        self.version = 0 if code == _BY_DEVICE else version
        self.reason = reason[:_LONGEST_REASON]
        self.is_dirty = True


def is_same(a, b):
    """Whether the hub would hold the same for both; floats to a board's precision."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, float):
        return _is_close(a, b)
    if isinstance(b, float):
        return _is_close(b, a)
    return a == b


def _is_close(a, b):
    if not isinstance(b, (int, float)):
        return False
    # Compared, not subtracted: `b` may be an integer too large for a float
    slack = _FLOAT_PRECISION * max(1.0, abs(a))
    return a - slack <= b <= a + slack
