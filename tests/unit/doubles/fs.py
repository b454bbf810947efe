"""A file system in memory that fills up, or loses power, exactly where a test wants it."""

ENOENT = 2
EIO = 5
ENOSPC = 28


class PowerCut(Exception):
    """The power went: not an OSError, so that nobody who tidies up after errors catches it."""


class FakeFlash:
    """Files by path in `files`; `reads` and `writes` count. Every open for writing, write, close,
    rename and remove is an operation.

    fail_at: number (from 1) of the operation that fails, and all after it if `forever`
    kind:    "power" raises PowerCut there and at everything after it, until `power_on()`;
             "full" raises OSError(ENOSPC) at opens and writes (a full flash still renames)
    torn:    what a file holds that was open for writing when the power went: "old" (LittleFS:
             its former content), "none", "half" or "all" of what was written (FAT)
    """

    def __init__(self, files=None):
        self.files = dict(files or {})
        self.operations = 0
        self.writes = 0
        self.reads = 0
        self.fail_at = 0
        self.forever = True
        self.kind = "power"
        self.torn = "old"
        self.dead = False

    def plan(self, fail_at, kind="power", torn="old", forever=True):
        self.operations = 0
        self.fail_at, self.kind, self.torn, self.forever = fail_at, kind, torn, forever

    def power_on(self):
        self.dead = False
        self.fail_at = 0

    def count(self, needs_space=False):
        if self.dead:
            raise PowerCut()
        self.operations += 1
        due = self.operations == self.fail_at
        due = due or (self.forever and 0 < self.fail_at < self.operations)
        if due and self.kind == "power":
            self.dead = True
            raise PowerCut()
        if due and needs_space:
            raise OSError(ENOSPC)

    def open(self, path, mode="rb"):
        if self.dead:
            raise PowerCut()
        if "w" in mode:
            self.count(True)
            return _Written(self, path)
        if path not in self.files:
            raise OSError(ENOENT)
        self.reads += 1
        return _Read(self.files[path])

    def rename(self, old, new):
        self.count()
        if old not in self.files:
            raise OSError(ENOENT)
        self.files[new] = self.files.pop(old)

    def remove(self, path):
        self.count()
        if path not in self.files:
            raise OSError(ENOENT)
        del self.files[path]

    def listdir(self, path=""):
        return sorted(self.files)

    def stat(self, path):
        if self.dead:
            raise PowerCut()
        if path not in self.files:
            raise OSError(ENOENT)
        return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]), 0, 0, 0)

    def sync(self):
        pass


class _Read:
    def __init__(self, content):
        self.content = content

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        pass

    def read(self, size=-1):
        piece = self.content if size < 0 else self.content[:size]
        self.content = self.content[len(piece) :]
        return piece

    def readinto(self, buffer):
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def seek(self, offset):
        self.content = self.content[offset:]

    def close(self):
        pass


class _Written:
    def __init__(self, flash, path):
        self.flash = flash
        self.path = path
        self.content = b""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.close()
        elif not self.flash.dead:
            self.flash.files[self.path] = self.content

    def write(self, data):
        try:
            self.flash.count(True)
        except PowerCut:
            self._tear(data)
            raise
        self.flash.writes += 1
        self.content += bytes(data)
        return len(data)

    def close(self):
        try:
            self.flash.count()
        except PowerCut:
            self._tear(b"")
            raise
        self.flash.files[self.path] = self.content

    def _tear(self, data):
        whole = self.content + bytes(data)
        if self.flash.torn == "none":
            self.flash.files[self.path] = b""
        elif self.flash.torn == "half":
            self.flash.files[self.path] = whole[: len(whole) // 2]
        elif self.flash.torn == "all":
            self.flash.files[self.path] = whole
