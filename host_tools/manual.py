"""Help pages that fit the terminal: paragraphs flow, what is indented stays as it is written.

Typer's rich markup keeps every line break of a docstring, and a terminal then breaks the lines
once more, elsewhere.
"""

from __future__ import annotations

import inspect

import typer

# Markup of nothing: where an indented line is all that follows, Typer would take its indent away
_MARGIN = "[bold][/bold]"


def lay_out(app: typer.Typer) -> None:
    """Do so with the help of a group of commands, of every one, and of the groups in it. Once."""
    root = app.registered_callback
    if root is not None and root.callback is not None:
        root.help = flowing(inspect.getdoc(root.callback) or "")
    for command in app.registered_commands:
        text = command.help or inspect.getdoc(command.callback)
        command.help = flowing(text) if text else None
    for group in app.registered_groups:
        if group.typer_instance is not None:
            lay_out(group.typer_instance)


def flowing(text: str) -> str:
    """Each paragraph in one line, but for those with an indented line."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(map(_flow, paragraphs))


def _flow(paragraph: str) -> str:
    lines = paragraph.split("\n")
    if any(line.startswith((" ", "\b")) for line in lines):
        return _MARGIN + paragraph
    return " ".join(line.strip() for line in lines)
