"""``python -m edgekit``: the command ``edgekit``."""

from __future__ import annotations

from edgekit.cli.main import main

if __name__ == "__main__":
    main()
