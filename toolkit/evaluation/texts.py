"""Texts of outputs and labels: greedy CTC decoding, token numbers, and the alphabet they are of.

A token without an alphabet is one character of a private plane of Unicode, shown as its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgekit.data.dataset import check_file
from edgekit.errors import DataError, ProjectError

Array = npt.NDArray[Any]
Blank = Literal["first", "last"]
CODE = "EK-PROJECT-047"
# Names by which vocabularies call CTC's blank.
BLANKS = frozenset(
    {
        "<blank>",
        "[blank]",
        "<blk>",
        "<pad>",
        "[pad]",
        "<ctc>",
        "<eps>",
        "ε",
        "<epsilon>",
    }
)
# What SentencePiece writes for a space.
WORD_START = "\u2581"
PRIVATE, MOST_TOKENS = 0xF0000, 0xFFFE
BOTH = (
    "say where CTC's blank is among the outputs: --blank first (Keras 3's keras.losses.CTC) or"
    ' --blank last (tf.keras.backend.ctc_batch_cost); [evaluate.text] blank = "first"'
)


@dataclass(frozen=True)
class TextSpec:
    """How texts are read; what is None is told by outputs, labels and alphabet.

    ``alphabet`` are the tokens by number, with or without the blank; ``merge`` says that a token
    that is answered several times in a row is one, ``padding`` is a token that stands for nothing,
    ``space`` the one that stands between words.
    """

    alphabet: tuple[str, ...] = ()
    blank: Blank | None = None
    merge: bool | None = None
    padding: int | None = None
    space: str | None = None


def read_alphabet(alphabet: str | None, root: Path) -> tuple[str, ...]:
    """Read tokens in their order: one a line of a file, or the characters themselves.

    A name that ends in .txt is a file. Raises :class:`DataError` where it cannot be read, or a
    token stands there twice.
    """
    if not alphabet:
        return ()
    path = root / alphabet
    tokens = tuple(alphabet)
    if alphabet.endswith(".txt") or (len(alphabet) < 200 and path.is_file()):
        check_file(path, "alphabet")
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            hint = f"one token per line, in UTF-8: {error}"
            raise DataError("EK-DATA-003", f"{path} cannot be read as text", hint) from error
        lines = lines[:-1] if lines[-1] == "" else lines
        tokens = tuple(line.removesuffix("\r") for line in lines)
    twice = sorted({token for token in tokens if tokens.count(token) > 1})
    if twice:
        message = f"the alphabet has {twice[0]!r} several times"
        raise DataError("EK-DATA-067", message, "each token has its own number: one per output")
    return tokens


def transcripts(folder: Path, names: Sequence[str]) -> Array:
    """Return the text ``[n]`` of each item: ``NAME.txt`` beside its picture's name.

    Raises :class:`DataError` where an item has none.
    """
    files = [folder / f"{Path(name).stem}.txt" for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        message = f"{folder} has no {missing[0]}"
        more = f" (of {len(names):,} items {len(missing):,} have no text)"
        raise DataError("EK-DATA-066", message + more, "each item has one: its name with .txt")
    try:
        texts = [" ".join(file.read_text(encoding="utf-8-sig").split()) for file in files]
    except UnicodeDecodeError as error:
        raise DataError("EK-DATA-003", f"{folder} has files that are not UTF-8: {error}") from error
    return np.array(texts, np.str_)


@dataclass(frozen=True)
class TextReader:
    """What turns outputs ``[n, steps, tokens]`` or ``[n, length]``, and labels, into texts.

    ``tokens`` are the texts of token numbers (empty without an alphabet), ``blank`` CTC's blank,
    -1 for none, ``scored`` says that outputs have a score per token.
    """

    tokens: tuple[str, ...]
    blank: int
    merge: bool
    padding: int
    scored: bool
    why: str = ""

    @property
    def spoken(self) -> bool:
        """Whether texts have characters and words, not token numbers alone."""
        return bool(self.tokens)

    def outputs(self, outputs: Array) -> Array:
        """Return the texts ``[n]`` that outputs hold: of scores the best token of each step."""
        rows = np.asarray(outputs)
        if self.scored:
            rows = rows.argmax(axis=-1)
        return self._texts(row[_changes(row)] if self.merge else row for row in _rows(rows))

    def labels(self, labels: Array) -> Array:
        """Return the texts ``[n]`` of labels: strings as they are, or token numbers."""
        if labels.dtype.kind == "U":
            return np.asarray(labels).reshape(len(labels))
        return self._texts(_rows(labels))

    def _texts(self, rows: Iterator[Array]) -> Array:
        return np.array(
            [
                "".join(self._token(int(token)) for token in row if self._counts(int(token))).strip(
                    " "
                )
                for row in rows
            ],
            np.str_,
        )

    def _counts(self, token: int) -> bool:
        return token >= 0 and token not in (self.blank, self.padding)

    def _token(self, token: int) -> str:
        if not self.tokens:
            return chr(PRIVATE + min(token, MOST_TOKENS))
        return self.tokens[token] if token < len(self.tokens) else "\ufffd"


def reader(
    spec: TextSpec, sizes: tuple[int | None, ...], last: str, labels: Array | None
) -> TextReader:
    """Choose how outputs of these sizes per item are read; ``last`` is their last activation.

    Raises :class:`ProjectError` where that is not clear, :class:`DataError` where the alphabet is
    another model's.
    """
    flat = tuple(size for size in sizes if size != 1)
    scored = len(flat) == 2 and last != "argmax"
    count = flat[-1] if scored else None
    if len(flat) > 2 or not flat or (scored and count is None):
        hint = "or decode it in a function: --postprocess file.py:function that returns strings"
        message = f"the output [N, {', '.join(map(str, sizes))}] is not text"
        raise ProjectError(CODE, message, f"texts are [N, steps, tokens], or token numbers; {hint}")
    framed = scored or last == "argmax"
    merge = framed if spec.merge is None else spec.merge
    blank, why = _blank(spec, count, labels) if merge else (-1, "")
    tokens = _tokens(spec, count, blank)
    if labels is not None and labels.dtype.kind == "U" and not tokens:
        hint = "its tokens in order, or a file of one a line: --alphabet 'abc…' ([evaluate.text])"
        raise ProjectError(CODE, "labels are texts, and the model's alphabet is not known", hint)
    padding = spec.padding if spec.padding is not None else -1
    return TextReader(tokens, blank, merge, padding, scored, why)


def _blank(spec: TextSpec, count: int | None, labels: Array | None) -> tuple[int, str]:
    """Return the number of CTC's blank, and how it is known. Raises where it is not."""
    named = [k for k, token in enumerate(spec.alphabet) if token.lower() in BLANKS]
    if count is not None and len(spec.alphabet) == count and len(named) == 1:
        return named[0], f"the alphabet calls token {named[0]} {spec.alphabet[named[0]]}"
    last = (count or len(spec.alphabet) + 1) - 1
    if spec.blank == "first" or (spec.blank and (count is not None or spec.alphabet)):
        return (0 if spec.blank == "first" else last), f"blank is the {spec.blank} token"
    if labels is not None and labels.dtype.kind in "iuf":
        used = np.unique(labels[labels >= 0])
        if count is not None and len(used) and int(used[-1]) == last:
            return 0, f"labels have the last token, {last}: the blank is the first"
        # Zeros at the ends of rows are padding as likely as a token.
        inside = any(
            (row[: int(np.flatnonzero(row).max(initial=-1)) + 1] == 0).any()
            for row in labels.reshape(len(labels), -1)
        )
        if inside:
            return last, "labels have the token 0: the blank is the last"
    raise ProjectError(CODE, "neither labels nor alphabet tell which output is CTC's blank", BOTH)


def _tokens(spec: TextSpec, count: int | None, blank: int) -> tuple[str, ...]:
    """Return the text of each token number, the blank's empty."""
    tokens = list(spec.alphabet)
    if not tokens:
        return ()
    if blank >= 0 and (count is None or len(tokens) == count - 1):
        tokens.insert(blank, "")
    if count is not None and len(tokens) != count:
        message = f"the alphabet has {len(spec.alphabet)} tokens, the model scores {count}"
        hint = "one token per output in their order, with CTC's blank or without it"
        raise DataError("EK-DATA-067", message, hint)
    return tuple(
        "" if k == blank else " " if token == spec.space else token.replace(WORD_START, " ")
        for k, token in enumerate(tokens)
    )


def _rows(numbers: Array) -> Iterator[Array]:
    """Yield the token numbers ``[length]`` of each item. Raises DataError for other numbers."""
    rows = np.asarray(numbers).reshape(len(numbers), -1)
    if rows.dtype.kind not in "iuf" or not (np.rint(rows) == rows).all():
        message = f"texts of dtype {rows.dtype} are not token numbers"
        raise DataError("EK-DATA-067", message, "texts are strings, or whole numbers of tokens")
    yield from rows.astype(np.int64)


def _changes(row: Array) -> Array:
    """Mark the tokens that differ from the one before them."""
    return np.concatenate([[True], row[1:] != row[:-1]])


def shown(text: str) -> str:
    """Return a text as it is read: tokens without an alphabet as their numbers."""
    if text and all(PRIVATE <= ord(one) <= PRIVATE + MOST_TOKENS for one in text):
        return " ".join(str(ord(one) - PRIVATE) for one in text)
    return text


def is_private(texts: Sequence[str] | Array) -> bool:
    """Tell whether texts are token numbers that no alphabet names."""
    return any(ord(one) >= PRIVATE for text in texts for one in str(text))
