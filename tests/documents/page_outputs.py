"""What the commands on the pages print, made anew.

``python tests/documents/page_outputs.py`` says where a page differs from what its commands print
now, and with ``--write`` writes that into the page. Pages may be named. A block marked
``<!-- scene: NAME -->`` runs in the folder of that scene, after the scene's blocks above it and
those of the pages before; ``NAME/FOLDER`` runs in a folder below. ``<!-- file: NAME/PATH -->``
is a file of the scene, and ``<!-- of: PATH -->`` one of the repository.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from blocks import PAGES, PROMPT, ROOT, Block, blocks, hidden

BIN = Path(sys.executable).parent
# Typed on a page, and what of it is done again: the installation is not.
STANDS_FOR = {
    "make demo": "edgekit init demo --if-missing && edgekit convert --project demo/edgekit.toml"
}
INSTALLS = re.compile(r"^(making .venv|installing edgekit)")
HOOKS = "hooks"
# The folder of other projects' files.
DATA = "EDGEKIT_TEST_DATA"
# A terminal as wide as the pages.
COLUMNS = "100"
# A reader's terminal is not CI's: pytest, for one, prints whole lines where one of these is set.
OF_CI = ("CI", "BUILD_NUMBER", "CONTINUOUS_INTEGRATION", "PYTEST_ADDOPTS")
OF_GITHUB = "GITHUB_"
# There are logs where a project has trained, and none where the store had it.
OF_A_TRAINING = "to look at it: tensorboard"
# What differs from one host or run to the next.
CHANGING = (
    # A stage says what it found, how long it took, and whether it came from the store.
    (re.compile(r"^(\d+ of \d+ [^:]+): .*"), r"\1"),
    # Another processor trains another network, which is wrong elsewhere.
    (re.compile(r"^( *(?:confused most|worst items)): .*"), r"\1"),
    (re.compile(r'(?<=\{"label": ")[^"]+(?=", "score")'), "NAME"),
    (re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(r"/tmp/[\w./-]+"), "PATH"),  # noqa: S108 (a pattern, no file)
    (re.compile(r"\b[0-9a-f]{12,64}\b|(?<=-)[0-9a-f]{8}(?=-)|\bSHA256:[\w+/]+"), "HASH"),
    (re.compile(r"[<>~x]?[-+]?\d[\d,]*(?:\.\d+(?:e[-+]?\d+)?|e[-+]\d+)"), "N"),
    (
        re.compile(
            r"[<>~x]?[-+]?\d[\d,]*"
            r"(?= ?(?:%|(?:[mµun]?s|min|kB|MB|GB|B|KiB|MiB|pts?|points?|bytes)\b))"
        ),
        "N",
    ),
    (re.compile(r"x\d+\b"), "N"),
    (re.compile(r"\\?\[[-+N\d]+, [-+N\d]+\\?\]"), "[N, N]"),
    (re.compile(r"[-+]?[N\d]+ to [-+]?[N\d]+(?= points)"), "N to N"),
    # The machine that trained.
    (re.compile(r"^on \d+ cores, .*"), "MACHINE"),
    # How far apart the files of two trainings are.
    (re.compile(r"up to \d+ (?=quantization steps)"), "up to N "),
    # Units follow the size of a figure, and columns its width.
    (re.compile(r"N ?(?:[mµun]s|s|kB|MB|GB|B)\b"), "N UNIT"),
    # Of what is many times over its limit no share is told.
    (re.compile(r"(?<=N UNIT over) \(N %(?:25)?\)"), ""),
    (re.compile(r"(?<=on local )\(.*\)$"), "(PROCESSOR)"),
    (re.compile(r"\*\*\d+ failed\*\* · \d+ passed"), "**N failed** · N passed"),
    (re.compile(r"(?<=\S)[ ]{2,}| +$|^ +"), " "),
)
# Whether int8 is faster than float16, as the lock has it, is a matter of the processor.
OF_A_PROCESSOR = re.compile(
    r"lock latency|the lock's time|which operator got slower|edgekit/lock-FIGURE"
)


def settled(text: str) -> list[str]:
    """Return the lines of an output without what may differ where nothing changed."""
    lines = []
    for line in text.split("\n"):
        line = line.replace("\xa0", " ")
        if INSTALLS.match(line) or line.startswith(OF_A_TRAINING) or OF_A_PROCESSOR.search(line):
            continue
        for pattern, word in CHANGING:
            line = pattern.sub(word, line)
        lines.append(line.strip())
    return [line for line in lines if line]


def parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block as they are written, each with what it printed."""
    command: list[str] = []
    printed: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        goes_on = bool(command) and not printed and command[-1].endswith("\\")
        if line.startswith(PROMPT):
            if command:
                yield "\n".join(command), "".join(f"{each}\n" for each in printed)
            command, printed = [line], []
        elif goes_on:
            command.append(line)
        else:
            printed.append(line)
    if command:
        yield "\n".join(command), "".join(f"{each}\n" for each in printed)


def run(command: str, folder: Path, root: Path, programs: Path = BIN) -> str:
    """Return what a command prints on a terminal of the pages' width; ``programs`` go first."""
    line = command.removeprefix(PROMPT)
    done = subprocess.run(
        ["/bin/sh", "-c", STANDS_FOR.get(line, line)],
        cwd=folder,
        env=environment(root, programs),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    return done.stdout if done.stdout.endswith("\n") or not done.stdout else f"{done.stdout}\n"


def environment(root: Path, programs: Path) -> Mapping[str, str]:
    """Return a reader's variables, with a name for git, and where edgekit is published."""
    rest = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(OF_GITHUB) and name not in OF_CI
    }
    path = os.pathsep.join([str(programs), str(BIN), os.environ["PATH"]])
    git = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Reader"), ("EMAIL", "reader@example.org"))
    }
    git |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{root / HOOKS}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/edgekit/edgekit",
    }
    own = {"PATH": path, "NO_COLOR": "1", "COLUMNS": COLUMNS, "PRE_COMMIT_HOME": str(root / "hook")}
    return {**rest, **git, **own}


def publish_hooks(root: Path) -> None:
    """Make the repository that pre-commit fetches, of this one's hooks."""
    folder = root / HOOKS
    if not folder.exists():
        folder.mkdir()
        shutil.copy(ROOT / ".pre-commit-hooks.yaml", folder)
        script = "git init -q && git add -A && git commit -qm hooks && git tag v0.1.0"
        run(script, folder, root)


def made_again(block: Block, root: Path, programs: Path = BIN) -> str:
    """Return a block with what its commands print now, or what the file has that it shows."""
    if block.mark in ("file", "of"):
        shown = (ROOT / block.source).read_text(encoding="utf-8") if block.source else block.text
        if block.mark == "file":
            file = root / block.said
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(shown, encoding="utf-8")
        return shown
    scene, _, below = block.said.partition("/")
    folder = root / scene / below
    folder.mkdir(parents=True, exist_ok=True)
    if "pre-commit" in block.text:
        publish_hooks(root)
    if block.mark == "before":
        said = run(f"set -e\n{block.text}echo made", folder, root, programs)
        if not said.endswith("made\n"):
            raise RuntimeError(f"{block.place}: {said}")
        return block.text
    text = []
    for command, before in parts(block.text):
        said = run(command, folder, root, programs)
        installed = [line for line in before.splitlines() if INSTALLS.match(line)]
        text.append("".join(f"{line}\n" for line in [command, *installed]) + said)
    return "".join(text)


def difference(block: Block, again: str) -> str:
    """Say how what is printed differs from the page; empty where it does not."""
    lines = difflib.unified_diff(
        settled(block.text), settled(again), block.place, "now", lineterm="", n=0
    )
    return "\n".join(lines)


def scenes(pages: Iterable[Path] = PAGES) -> Iterator[Block]:
    """Yield the blocks that are run, and those that are files, in the order of the pages."""
    for page in pages:
        shown = (block for block in blocks(page) if block.mark in ("scene", "file", "of"))
        yield from sorted([*shown, *hidden(page)], key=lambda block: block.span)


def main(arguments: list[str]) -> int:
    write = "--write" in arguments
    named = [Path(name).resolve() for name in arguments if not name.startswith("--")]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        changed: dict[Path, list[tuple[Block, str]]] = {}
        pages = [page for page in named or PAGES if not _lacks_data(page)]
        for block in scenes(pages):
            again = made_again(block, Path(folder))
            changed.setdefault(block.page, []).append((block, again))
            if found := difference(block, again):
                wrong += 1
                print(found)
        if write:
            for page, made in changed.items():
                _write(page, made)
    return 0 if write else min(wrong, 1)


def _lacks_data(page: Path) -> bool:
    """Say that a page is left out, where what it is made of is not here."""
    lacks = any(DATA in block.text for block in hidden(page)) and not os.environ.get(DATA)
    if lacks:
        print(f"{page.name} is left out: {DATA} does not name a folder of real data")
    return lacks


def _write(page: Path, made: list[tuple[Block, str]]) -> None:
    text = page.read_text(encoding="utf-8")
    for block, again in reversed(made):
        text = text[: block.span[0]] + again + text[block.span[1] :]
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
