"""Watching something from a thread while something else happens."""

import threading


class Meanwhile:
    """`watch()` runs in a thread as long as the block lasts; it ends when `is_over` is set."""

    def __init__(self):
        self.is_over = threading.Event()
        self._thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self._thread.join()

    def watch(self):
        raise NotImplementedError
