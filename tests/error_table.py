"""Write the page of errors from what `edgekit explain` says: error_table.py docs/errors.md."""

from __future__ import annotations

import sys
from pathlib import Path

from edgekit import explanations

HEAD = """\
# Errors, notes and checks

Codes are stable. The message itself says what happened, where, why and what to do; this list
explains each code in general, and so does `edgekit explain CODE`. `EK-NOTE` codes are notes and
warnings of a run, `EK-INSPECT` codes are findings in a `.tflite` file, and `EK-LINT` codes are
findings in the data ([lint-data](lint-data.md) explains them).
`python tests/error_table.py docs/errors.md` writes this page from `toolkit/explanations/`.

| code | what happened, and what to do |
| --- | --- |
"""
CHECKS = """
## Checks

What `edgekit check`, `convert`, `compare`, `evaluate` and `bench` judge; [gate.md](gate.md) says
how. Words in capitals stand for names. `edgekit explain size` says the same.

| check | what it is, and what to do |
| --- | --- |
"""


def page() -> str:
    """The whole page."""
    codes = sorted(explanations.codes().values(), key=lambda each: each.name)
    return (
        HEAD + "".join(map(row, codes)) + CHECKS + "".join(map(row, explanations.checks().values()))
    )


def row(explanation: explanations.Explanation) -> str:
    """A row of the table."""
    causes = f" Likely causes: {'; '.join(explanation.causes)}." if explanation.causes else ""
    text = f"{explanation.what}{causes} {explanation.fix}".replace("|", "\\|")
    return f"| {explanation.name} | {text} |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
