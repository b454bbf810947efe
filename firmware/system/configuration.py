"""What is wrong with a file of the user's, and what the user can do about it."""

from micropython import const

# Ours have four levels. MicroPython's parser takes 20,000, each of which costs heap
_DEEPEST = const(8)


class ConfigurationError(Exception):
    """One mistake in one file: `str()` says file, key, reason and what to do.

    Never put a value into `reason` that may be a secret.
    """

    def __init__(self, key, reason, advice="correct the file and start again", file=""):
        super().__init__(reason)
        self.key = key
        self.reason = reason
        self.advice = advice
        self.file = file

    def within(self, file):
        """This error, of that file."""
        self.file = file
        return self

    def __str__(self):
        parts = [part for part in (self.file, self.key, self.reason) if part]
        return "%s; %s" % (": ".join(parts), self.advice)


def check_depth(content):
    """Raise ValueError if JSON `content` (bytes) is nested deeper than any file of ours."""
    depth = 0
    in_text = escaped = False
    for byte in content:
        if in_text:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_text = False
        elif byte == 0x22:
            in_text = True
        elif byte in b"[{":
            depth += 1
            if depth > _DEEPEST:
                raise ValueError("nested deeper than %d levels" % _DEEPEST)
        elif byte in b"]}":
            depth -= 1
