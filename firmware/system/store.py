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

import hashlib
import json
import os
import sys

from micropython import const

from system.configuration import ConfigurationError, check_depth

# A configuration with two zones has about 1.5 KB; a larger file than this is no file of ours and
# would only fill the heap
_LARGEST_BYTES = const(8192)
_HEAD = const(b'{"seal":"')
_SEAL_BYTES = const(16)
# Where the sealed text begins: after the seal and its closing quote
_BODY_AT = const(26)


class Flash:
    """The file system of the board, or of the PC."""

    open = staticmethod(open)
    rename = staticmethod(os.rename)
    remove = staticmethod(os.remove)
    listdir = staticmethod(os.listdir)
    stat = staticmethod(os.stat)

    @staticmethod
    def sync():
        """Make what was closed durable. On a PC this would write out the whole machine."""
        if sys.implementation.name == "micropython" and hasattr(os, "sync"):
            os.sync()


class _Refused(Exception):
    """Why one copy of the file cannot be used; the error to tell is `.args[0]`."""


class Store:
    """`path` and its companions on `files`. `validate(dict)` raises ConfigurationError.

    After `load()`: `source` is the path that was used, "" if there is none; `problem` the
    ConfigurationError that kept a newer copy from being used, or None.
    """

    def __init__(self, path, files=None, validate=None):
        self.path = path
        self.source = ""
        self.problem = None
        self._files = files or Flash
        self._validate = validate

    def load(self):
        """The dict of the newest valid copy, None if there is no file at all.

        A copy without a seal that passes `validate` is sealed. Raises ConfigurationError if
        there are files and none of them can be used.
        """
        self.source = ""
        self.problem = None
        for path in (self.path, self.path + ".new", self.path + ".bak"):
            try:
                found = self._open(path)
            except _Refused as refusal:
                if not path.endswith(".new"):  # whose writing was cut short, no more
                    self.problem = self.problem or refusal.args[0].within(path)
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
        self._finish_renaming()
        present = self._sealed_content(self.path)
        if present == content:
            return False
        body = json.dumps(content).encode()
        self._replace(_HEAD + _seal(b"," + body[1:]) + b'",' + body[1:], present is not None)
        return True

    def _read(self, path):
        """The bytes of `path`, None if there is no such file. Raises _Refused."""
        try:
            size = self._files.stat(path)[6]
        except OSError:
            return None
        if size > _LARGEST_BYTES:
            raise _refused("is larger than %d bytes" % _LARGEST_BYTES)
        try:
            with self._files.open(path, "rb") as file:
                return file.read(size)
        except OSError as error:
            raise _refused("cannot be read: %s" % error)

    def _open(self, path):
        """The dict of one copy, None if there is no such file. Raises _Refused."""
        content = self._read(path)
        if content is None:
            return None
        found = _parsed(content)
        if _is_sealed(content):
            return found
        if content.startswith(_HEAD[:-1]) or found.pop("seal", None) is not None:
            raise _refused(
                "the seal does not match: the file was damaged, or edited",
                'after an edit, delete the member "seal"',
            )
        if self._validate is None:
            raise _refused("has no seal")
        try:
            self._validate(found)
        except ConfigurationError as error:
            raise _Refused(error)
        if path == self.path:
            self._try_to_seal(content)
        return found

    def _sealed_content(self, path):
        """The dict of `path` if that is a sealed file, else None."""
        try:
            content = self._read(path)
            return _parsed(content) if content and _is_sealed(content) else None
        except _Refused:
            return None

    def _finish_renaming(self):
        """Step 3, where the power went after step 2."""
        new = self.path + ".new"
        if not self._exists(self.path) and self._sealed_content(new) is not None:
            try:
                self._files.rename(new, self.path)
            except OSError:
                pass  # load() reads it where it is, and the next save() tries again

    def _try_to_seal(self, content):
        """Put the seal before what a person wrote, and leave their text as it is."""
        body = content[content.index(b"{") + 1 :]
        try:
            self._replace(_HEAD + _seal(b"," + body) + b'",' + body, True)
        except OSError:
            pass  # a full flash is no reason not to start; the next start tries again

    def _replace(self, text, keep_former):
        new = self.path + ".new"
        try:
            self._write(new, text)
        except OSError:
            self._remove(new)
            raise
        if keep_former:
            self._files.rename(self.path, self.path + ".bak")
        self._files.rename(new, self.path)
        self._files.sync()
        if not keep_former and not self._exists(self.path + ".bak"):
            self._write_second_copy(text)

    def _write_second_copy(self, text):
        """The first file of all has no former one to fall back to: itself, then."""
        try:
            self._write(self.path + ".bak", text)
        except OSError:
            self._remove(self.path + ".bak")

    def _write(self, path, text):
        with self._files.open(path, "wb") as file:
            if file.write(text) != len(text):
                raise OSError(28)  # ENOSPC: some file systems take a part and do not say so
        self._files.sync()

    def _exists(self, path):
        try:
            self._files.stat(path)
        except OSError:
            return False
        return True

    def _remove(self, path):
        try:
            self._files.remove(path)
        except OSError:
            pass  # it was never there, or the flash is gone and the writer is told so


def _refused(reason, advice="correct it or take it away, then start again"):
    return _Refused(ConfigurationError("", reason, advice))


def _seal(body):
    """Sixteen hex digits over everything that follows the seal's closing quote."""
    return "".join(["%02x" % byte for byte in hashlib.sha256(body).digest()[:8]]).encode()


def _is_sealed(content):
    return (
        content[: len(_HEAD)] == _HEAD
        and content[_BODY_AT - 1 : _BODY_AT] == b'"'
        and content[len(_HEAD) : _BODY_AT - 1] == _seal(content[_BODY_AT:])
    )


def _parsed(content):
    """The dict in `content`, without its seal. Raises _Refused."""
    try:
        check_depth(content)
        found = json.loads(content.decode())
    except (ValueError, RuntimeError) as error:  # RuntimeError: nested too deep for the parser
        raise _refused("is not JSON: %s" % error)
    if not isinstance(found, dict):
        raise _refused("is not a JSON object")
    if _is_sealed(content):
        del found["seal"]
    return found
