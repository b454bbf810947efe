"""A command's time with a board: its app is stopped, the work done, the app started again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from host_tools.board_link import BoardLink, BoardLostError, find_port

# A port that another command has just closed, or a chip that has just been reset
_OPEN_S = 3.0


class BoardFlash:
    """The files of a board that `link` has stopped; what `host_tools.provision` works on."""

    def __init__(self, link: BoardLink) -> None:
        self.link = link
        self.read = link.read
        self.replace = link.replace
        self.hash = link.hash
        self.remove = link.remove

    def names(self, folder: str = "/") -> list[str]:
        """What is in a folder; nothing if there is no such folder."""
        code = f"(lambda os: [e[0] for e in os.ilistdir({folder!r})])(__import__('os'))"
        if folder != "/" and not self.link.exists(folder):
            return []
        return [str(name) for name in self.link.evaluate(code)]


@contextlib.contextmanager
def stopped_board(port: str | None, restart: bool = True) -> Iterator[BoardFlash]:
    """The board at `port` (None: the only one there is), at its prompt.

    Afterwards it is reset, so that the thermostat runs again, also when the work failed; a board
    that is lost cannot be. Raises BoardError.
    """
    with BoardLink.open(find_port(port), _OPEN_S) as link:
        link.stop()
        try:
            yield BoardFlash(link)
        except BoardLostError:
            raise
        except BaseException:
            # Ctrl-C may have come in the middle of a dialogue
            if restart:
                with contextlib.suppress(BoardLostError):
                    link.restart()
            raise
        if restart:
            link.reset()
        else:
            link.release()
