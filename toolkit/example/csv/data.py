"""Divide penguins.csv into train.csv and test.csv, every third row into the latter.

344 penguins that K. Gorman and the Palmer Station LTER measured, as the package palmerpenguins has
them (Horst, Hill and Gorman, 2020), in the public domain (CC0 1.0).
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    """Write both tables."""
    header, *rows = (FOLDER / "penguins.csv").read_text().splitlines(keepends=True)
    (FOLDER / "train.csv").write_text(header + "".join(r for k, r in enumerate(rows) if k % 3))
    (FOLDER / "test.csv").write_text(header + "".join(rows[::3]))


if __name__ == "__main__":
    main()
