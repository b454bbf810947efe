"""One plain JSON file that survives power cuts, full flash, bit rot and people.

The first member of a sealed file is its checksum, so it stays plain JSON that anybody reads:

    {"seal":"0123456789abcdef","version":1, ...}

Writing goes to PATH.new, which then takes the place of PATH, and PATH that of PATH.bak. Whenever
the power goes, PATH, PATH.new or PATH.bak is whole:

    1  while PATH.new is written      PATH is untouched
    2  PATH renamed to PATH.bak       PATH.new is whole and sealed; load() takes it
    3  PATH.new renamed to PATH       done

A file without a seal was written by hand: it is validated and sealed, or refused with the
reason. A file whose seal does not match is not used: nobody can tell a damaged digit from an
edited one. Its owner is told to delete the seal, which makes it a file written by hand.
What a file holds is never printed here.
"""

import json
import os
from binascii import hexlify
from hashlib import sha256

from micropython import const

# A configuration with two zones has about 1.5 KB; a larger file than this is no file of ours and
# would only fill the heap
_LARGEST_BYTES = const(8192)
_HEAD = const(b'{"seal":"')
# Where the sealed text begins: after the seal and its closing quote
_BODY_AT = const(26)


class ConfigurationError(Exception):
    """One mistake in one file: `str()` says file, key, reason and what to do.

    Never put a value into `reason` that may be a secret.
    """

    def __init__(self, key, reason, advice="correct the file and start again"):
        self.key = key
        self.reason = reason
        self.advice = advice
        self.file = ""

    def __str__(self):
        parts = [part for part in (self.file, self.key, self.reason) if part]
        return "%s; %s" % (": ".join(parts), self.advice)


class Store:
    """`path` and its companions. `validate(dict)` raises ConfigurationError; without it only
    sealed files count. `files` has what a test puts in the place of `os` and `open`.

    After `load()`: `source` is the path that was used, "" if there is none; `problem` the
    ConfigurationError that kept a newer copy from being used, or None.
    """

    def __init__(self, path, files=None, validate=None):
        self.path = path
        self.source = ""
        self.problem = None
        self.files = files or os
        self._open = files.open if files else open
        self.validate = validate

    def load(self):
        """The dict of the newest valid copy, None if there is no file at all.

        A copy without a seal that passes `validate` is sealed. Raises ConfigurationError if
        there are files and none of them can be used.
        """
        self.source = ""
        self.problem = None
        for path in (self.path, self.path + ".new", self.path + ".bak"):
            try:
                found = self._found(path)
            except ConfigurationError as error:
                if not path.endswith(".new"):  # whose writing was cut short, no more
                    error.file = path
                    self.problem = self.problem or error
                continue
            if found is not None:
                self.source = path
                return found
        if self.problem:
            raise self.problem
        return None

    def save(self, content):
        """Keep `content` (a dict); True if it was written, False if it is there already.

        Raises OSError if the flash is full or broken: the former content stays.
        """
        assert content, "an empty dict has no first member to put the seal before"
        new = self.path + ".new"
        if not self._exists(self.path) and self._sealed(new):
            self.files.rename(new, self.path)  # step 3, where the power went after step 2
        present = self._sealed(self.path)
        if present == content:
            return False
        self._replace(json.dumps(content).encode()[1:], present)
        return True

    def _read(self, path):
        """The bytes of `path`, None if there is no such file. Raises ConfigurationError."""
        try:
            size = self.files.stat(path)[6]
        except OSError:
            return None
        if size > _LARGEST_BYTES:
            raise _refused("is larger than %d bytes" % _LARGEST_BYTES)
        try:
            with self._open(path, "rb") as file:
                return file.read(size)
        except OSError as error:
            raise _refused("cannot be read: %s" % error)

    def _found(self, path):
        """The dict of one copy, None if there is no such file. Raises ConfigurationError."""
        content = self._read(path)
        if content is None:
            return None
        found = _parsed(content)
        if _is_sealed(content):
            return found
        if content.startswith(_HEAD[:-1]) or "seal" in found:
            raise _refused(
                "the seal does not match: the file was damaged, or edited",
                'after an edit, delete the member "seal"',
            )
        if self.validate is None:
            raise _refused("has no seal")
        self.validate(found)
        if path == self.path:
            try:
                # Before what a person wrote: their text is left as it is
                self._replace(content[content.index(b"{") + 1 :], True)
            except OSError:
                pass  # a full flash is no reason not to start; the next start tries again
        return found

    def _sealed(self, path):
        """The dict of `path` if that is a sealed file, else None."""
        try:
            content = self._read(path)
            return _parsed(content) if content and _is_sealed(content) else None
        except ConfigurationError:
            return None

    def _replace(self, body, keep_former):
        """Write `body`, the JSON text after its opening brace, under a seal."""
        body = b"," + body
        text = _HEAD + _seal(body) + b'"' + body
        new, former = self.path + ".new", self.path + ".bak"
        self._write(new, text)
        if keep_former:
            self.files.rename(self.path, former)
        self.files.rename(new, self.path)
        self._sync()
        if not keep_former and not self._exists(former):
            # The first file of all has no former one to fall back to: itself, then
            try:
                self._write(former, text)
            except OSError:
                pass

    def _write(self, path, text):
        """All of it or nothing. Raises OSError."""
        try:
            with self._open(path, "wb") as file:
                if file.write(text) != len(text):
                    raise OSError(28)  # ENOSPC: some file systems take a part and do not say so
        except OSError:
            if self._exists(path):
                self.files.remove(path)
            raise
        self._sync()

    def _sync(self):
        """Make what was closed durable, where closing does not."""
        if hasattr(self.files, "sync"):
            self.files.sync()

    def _exists(self, path):
        try:
            self.files.stat(path)
        except OSError:
            return False
        return True


def _refused(reason, advice="correct it or take it away, then start again"):
    return ConfigurationError("", reason, advice)


def _seal(body):
    """Sixteen hex digits over everything that follows the seal's closing quote."""
    return hexlify(sha256(body).digest()[:8])


def _is_sealed(content):
    body = content[_BODY_AT:]
    return content[:_BODY_AT] == _HEAD + _seal(body) + b'"'


def _parsed(content):
    """The dict in `content`, without its seal. Raises ConfigurationError."""
    try:
        found = json.loads(content.decode())
    except (ValueError, RuntimeError, MemoryError) as error:
        # The last two: nested too deep, which no file of ours is
        raise _refused("is not JSON: %s" % error)
    if not isinstance(found, dict):
        raise _refused("is not a JSON object")
    if _is_sealed(content):
        del found["seal"]
    return found
