"""Every block of TOML and shell on the pages is run, or says why not; commands can be typed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import click
import pytest
from blocks import FENCE, PAGES, ROOT, SHELLS, Block, blocks, commands, indented, looks_like_shell
from blocks import words as edgekit_words

from edgekit.cli.main import group
from edgekit.errors import ProjectError
from edgekit.project import Project, models
from edgekit.project.devices import DeviceFile
from edgekit.targets import catalog
from edgekit.targets.catalog import checks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVERY = [block for page in PAGES for block in blocks(page)]
TOML = [block for block in EVERY if block.language == "toml"]
# A page may show the form of a command, which nobody types.
FORM = re.compile(r"…|\[-|\[MODEL|COMMAND|ADDRESS")
URL = re.compile(r"\]\((https?:[^)\s]*)\)")


def unmarked(block: Block) -> str:
    """Say what a block of shell lacks."""
    if looks_like_shell(block.text) and block.language == "":
        return f"{block.place}: shell in a fence without a language"
    if block.language in SHELLS and not block.mark:
        return f"{block.place}: neither a scene nor a reason why it is not run"
    return ""


def test_every_block_of_shell_is_run_or_says_why_not() -> None:
    assert [found for block in EVERY if (found := unmarked(block))] == []
    assert [
        f"{page.name}: {text[:60]}"
        for page in PAGES
        for text in indented(page.read_text(encoding="utf-8"))
        if looks_like_shell(text) or re.search(r"^\[[a-z.]+\]$", text, re.MULTILINE)
    ] == []


def test_a_block_that_shows_a_file_is_that_file() -> None:
    shown = [block for block in EVERY if block.source]
    assert len(shown) > 8
    assert [
        block.place
        for block in shown
        if block.text != (ROOT / block.source).read_text(encoding="utf-8")
    ] == [], "stale: run `python tests/documents/page_outputs.py --write`"


def test_a_block_that_nobody_runs_is_found() -> None:
    text = (
        "<!-- not run: files of yours -->\n```sh\nedgekit check\n```\n\n"
        "```sh\nedgekit check\n```\n\n```\n$ edgekit check\n```\n\n    make docs\n"
    )
    found = [unmarked(block) for block in blocks(ROOT / "README.md", text)]
    assert [bool(each) for each in found] == [False, True, True]
    assert [*indented(text)] == ["make docs"]


@pytest.mark.parametrize("block", TOML, ids=lambda block: block.place)
def test_a_block_of_toml_is_what_edgekit_reads(block: Block, tmp_path: Path) -> None:
    read_toml(block.text, tmp_path)


def read_toml(text: str, folder: Path) -> None:
    """Read a block as what it is: a target, a package, named devices, or part of a project."""
    table = tomllib.loads(text)
    if "runtimes" in table or "conversion" in table:
        whole = table if "title" in table else {**catalog_table(), **table}
        assert checks.table_problems(folder / "own.toml", whole) == ()
    elif "build-system" in table:
        assert table["project"]["entry-points"]
    elif set(table) == {"devices"}:
        DeviceFile.model_validate(table)
    else:
        for name, one in table.get("targets", {}).items():
            if file := one.get("file"):
                (folder / file).write_text(own_target(), encoding="utf-8")
                assert catalog.own_id(name) == name
        source = {"source": "model.keras"}
        table["model"] = {**source, **table.get("model", {})}
        try:
            for one in models.tables_of(table).values() or [table]:
                Project.parse(one, folder)
        finally:
            for name in table.get("targets", {}):
                if catalog.is_own(name):
                    catalog.remove(name)


def catalog_table() -> dict[str, object]:
    return dict(checks.table_of(ROOT / "targets" / "catalog" / "raspberry-pi-4.toml"))


def own_target() -> str:
    """The target that docs/targets.md describes."""
    return next(block.text for block in TOML if block.text.startswith("title = "))


def test_a_block_of_toml_with_a_wrong_key_is_found(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="did you mean 'epochs'"):
        read_toml("[train]\nepoch = 3\n", tmp_path)


def typed() -> Iterator[tuple[str, list[str]]]:
    """Yield the edgekit commands of all pages, and where each stands."""
    for block in EVERY:
        if block.language in SHELLS:
            for command in commands(block.text):
                if not FORM.search(command):
                    yield from ((block.place, one) for one in edgekit_words(command))


def test_the_commands_of_a_line_are_its_edgekit_commands() -> None:
    line = "edgekit convert && edgekit check -q 2>&1 | grep 'a b' > out.txt  # twice"
    assert edgekit_words(line) == [["convert"], ["check", "-q"]]


def refusal(arguments: list[str]) -> str:
    """Return why the command line refuses arguments, before anything is run."""
    command: click.Command = group
    context = click.Context(group, info_name="edgekit")
    try:
        while isinstance(command, click.Group) and arguments:
            if arguments[0].startswith("-"):
                break
            name, inner, arguments = command.resolve_command(context, arguments)
            assert inner is not None
            command = inner
            if not isinstance(inner, click.Group):
                inner.make_context(name or "", arguments, parent=context)
            context = click.Context(inner, info_name=name, parent=context)
    except click.exceptions.Exit:
        return ""
    except (click.ClickException, ProjectError) as error:
        return str(getattr(error, "message", error))
    return ""


def test_every_command_of_the_pages_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [*typed()]
    assert len(lines) > 100
    refused = {f"{place} {' '.join(one)}": why for place, one in lines if (why := refusal(one))}
    assert refused == {}


@pytest.mark.parametrize("line", ["convert m.keras --max-dorp 1%", "convrt", "devices lst"])
def test_a_command_that_cannot_be_typed_is_found(line: str) -> None:
    assert re.search("No such|is not one of", refusal(line.split()))


def test_links_to_other_sites_are_addresses() -> None:
    wrong = {
        f"{page.name}: {link}"
        for page in PAGES
        for link in URL.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        if urlparse(link).scheme != "https" or "." not in urlparse(link).netloc
    }
    assert wrong == set()
