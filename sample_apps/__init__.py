"""The apps that go into bundles: one folder per platform, files and not imports."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
