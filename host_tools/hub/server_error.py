"""Why a hub does not start. By itself, since who looks for a hub need not load one."""

from __future__ import annotations

from host_tools.problem import Problem


class ServerError(Problem):
    """The hub cannot start; the text says why and what to do."""
