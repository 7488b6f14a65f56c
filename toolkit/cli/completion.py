"""``edgekit completion``: how to turn on shell completion."""

from __future__ import annotations

import click

from edgekit.cli.help import documented

LINES = {
    "bash": 'eval "$(_EDGEKIT_COMPLETE=bash_source edgekit)"    # in ~/.bashrc',
    "zsh": 'eval "$(_EDGEKIT_COMPLETE=zsh_source edgekit)"    # in ~/.zshrc',
    "fish": "_EDGEKIT_COMPLETE=fish_source edgekit | source    # in ~/.config/fish/config.fish",
}


@documented(
    "completion",
    ("turn on completion in this shell", 'eval "$(edgekit completion bash)"'),
)
@click.argument("shell", type=click.Choice(list(LINES)))
def command(shell: str) -> int:
    """Print the line that turns on completion in SHELL, and the file to put it in."""
    click.echo(LINES[shell])
    return 0
