"""Help pages: paragraphs flow, examples stay."""

import typer

from host_tools.manual import flowing, lay_out

TEXT = """Do it.

    It is done in two
    lines.

    [bold]Example[/bold]

        thermo it      (now)
        thermo it --later
    """


def test_paragraphs_flow_and_what_is_indented_stays():
    assert flowing(TEXT) == (
        "Do it.\n\nIt is done in two lines.\n\n[bold]Example[/bold]\n\n"
        "[bold][/bold]    thermo it      (now)\n    thermo it --later"
    )


def test_every_command_of_every_group():
    app, inner = typer.Typer(), typer.Typer()

    @inner.command()
    def deep():
        """Deep.

        One
        line.
        """

    app.add_typer(inner)
    lay_out(app)
    assert inner.registered_commands[0].help == "Deep.\n\nOne line."
