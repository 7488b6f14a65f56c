"""docs/targets.md: its table is the catalog's, and its example is a target."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import target_table

from conftest import answer
from edgekit.contracts.target import TargetContract
from edgekit.targets import catalog
from edgekit.targets.catalog import Target

PAGE = Path(__file__).parents[2] / "docs" / "targets.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROJECT, EXAMPLE = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_table_is_that_of_the_catalog() -> None:
    assert target_table.filled(TEXT) == TEXT


def test_table_that_lacks_a_target_is_found() -> None:
    lacking = re.sub(r"^\| `esp32` .*\n", "", TEXT, flags=re.MULTILINE)
    assert lacking != TEXT
    assert target_table.filled(lacking) == TEXT


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "edgekit.toml").write_text('[model]\nsource = "missing.keras"\n' + PROJECT)
    (tmp_path / "solar-roof.toml").write_text(EXAMPLE)
    yield tmp_path
    catalog.remove("solar-roof")


def test_example_is_a_target_in_under_thirty_lines(folder: Path) -> None:
    assert len(EXAMPLE.splitlines()) < 30
    assert answer("targets", "validate", "solar-roof.toml", cwd=folder).returncode == 0
    shown = answer("targets", "show", "roof", cwd=folder)
    assert "4 GiB RAM, a model may take 512 MiB" in shown.stdout
    done = answer("convert", "--target", "roof", cwd=folder)
    assert "EK-MODEL-001" in done.stderr


class TestExample(TargetContract):
    """The example keeps the contract."""

    @pytest.fixture
    def target(self, folder: Path) -> Target:
        assert answer("targets", "show", "solar-roof", cwd=folder).returncode == 0
        return catalog.load("solar-roof")
