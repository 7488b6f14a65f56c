"""``edgekit completion``: how to turn on shell completion."""

from __future__ import annotations

import click

LINES = {
    "bash": 'eval "$(_EDGEKIT_COMPLETE=bash_source edgekit)"    # in ~/.bashrc',
    "zsh": 'eval "$(_EDGEKIT_COMPLETE=zsh_source edgekit)"    # in ~/.zshrc',
    "fish": "_EDGEKIT_COMPLETE=fish_source edgekit | source    # in ~/.config/fish/config.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(LINES)))
def command(shell: str) -> int:
    """Print the line that turns on completion in SHELL, and the file to put it in."""
    click.echo(LINES[shell])
    return 0
