"""The blocks of code of the pages, and what a comment before each says is done with it.

``<!-- scene: NAME -->`` runs its commands in that scene of :mod:`page_outputs`, and compares what
they print; ``<!-- file: SCENE/PATH -->`` is a file there; ``<!-- of: PATH -->`` shows a file of the
repository, as does ``<!-- file: SCENE/PATH, of PATH -->``; ``<!-- not run: REASON -->`` leaves it
to the reader. A comment that begins with ``<!-- before: SCENE`` has commands that no reader sees.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Pages that code writes show no command that was typed.
GENERATED = ROOT / "docs" / "reference"
PAGES = tuple(
    page
    for page in (
        ROOT / "README.md",
        # A page before those of the folder of its name.
        *sorted((ROOT / "docs").rglob("*.md"), key=lambda page: page.with_suffix("").parts),
    )
    if GENERATED not in page.parents
)
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>scene|file|of|not run): (?P<said>[^>]+?) -->\n)?"
    r"```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
BEFORE = re.compile(r"^<!-- before: (?P<said>\S+)\n(?P<text>.*?)^-->$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^|\n\n)((?:(?: {4}.*)?\n)+)")
PROGRAMS = ("edgekit", "make", "pip", "python", "python3", "npm", "cc", "cmake", "sh", "tar", "git")
SHELLS = ("console", "sh")
PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language and text, its mark, and the file it shows."""

    page: Path
    line: int
    language: str
    text: str
    mark: str
    said: str
    span: tuple[int, int]
    source: str = ""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, text: str | None = None) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8") if text is None else text
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        mark, said = found["mark"] or "", found["said"] or ""
        source = said if mark == "of" else ""
        if mark == "file":
            said, _, source = said.partition(", of ")
        language, span = found["language"], found.span("text")
        yield Block(page, line, language, found["text"], mark, said, span, source)


def hidden(page: Path) -> Iterator[Block]:
    """Yield what is run for a page and not shown: a model of its own, another run."""
    text = page.read_text(encoding="utf-8")
    for found in BEFORE.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        yield Block(page, line, "", found["text"], "before", found["said"], found.span("text"))


def indented(text: str) -> Iterator[str]:
    """Yield the blocks of a page that only an indentation marks."""
    outside = FENCE.sub("", text)
    for found in INDENTED.finditer(outside):
        block = "\n".join(line[4:] for line in found[1].strip("\n").split("\n"))
        # Below a list an indentation goes on with the item.
        before = outside[: found.start(1)].rstrip().rsplit("\n\n", 1)[-1]
        if block.strip() and not re.match(r" *(?:[-*]|\d+\.) ", before):
            yield block


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a block: what follows a prompt or, without prompts, every line."""
    lines = text.replace("\\\n", " ").split("\n")
    prompted = any(line.startswith(PROMPT) for line in lines)
    for line in lines:
        if prompted and not line.startswith(PROMPT):
            continue
        command = line.removeprefix(PROMPT).strip()
        if command and not command.startswith("#"):
            yield command


def looks_like_shell(text: str) -> bool:
    """Tell whether a block has a line that a shell would run."""
    return any(line.removeprefix(PROMPT).split(" ")[0] in PROGRAMS for line in text.split("\n"))


def words(command: str) -> list[list[str]]:
    """Return the edgekit commands of a line of shell, each as its arguments."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    found: list[list[str]] = []
    current: list[str] | None = None
    skip = False
    for word in lexer:
        if set(word) <= set("|&;"):
            current, skip = None, False
        elif set(word) <= set("<>&"):
            # 2>&1: the number before it is not an argument.
            if current and current[-1].isdigit():
                current.pop()
            skip = True
        elif skip:
            skip = False
        elif current is not None:
            current.append(word)
        elif word == "edgekit":
            current = []
            found.append(current)
    return found
