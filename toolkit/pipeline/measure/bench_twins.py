"""Which row of an earlier bench a row is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from edgekit.errors import ProjectError
from edgekit.types import Benched, Json

Row = Mapping[str, Json]


def conditions(row: Row) -> tuple[Json, ...]:
    """Return what two rows must have in common: the device, threads, batch and delegate."""
    return (row["device"], row["threads"], row["batch"], row["delegate"])


def twin_of(row: Benched, earlier: Sequence[Row]) -> Row | None:
    """Return the row of an earlier bench that timed the same model under the same conditions.

    The same model is the same file, wherever it lies; else the one whose path ends the same: of
    ``build/digits/int8/model.tflite`` the folder counts with the name. None where there is none;
    raises :class:`ProjectError` where several end as far alike, and hold different files.
    """
    own = (row.device, row.threads, row.batch, row.delegate)
    timed = [one for one in earlier if conditions(one) == own and one["latency"]]
    same = [one for one in timed if row.sha256 and one.get("sha256") == row.sha256]
    # Of one file under two names each is as good.
    candidates = same or timed
    if not candidates:
        return None
    scores = [_alike(row.source, str(one["source"])) for one in candidates]
    best = max(scores)
    if best == 0 and not same:
        return None
    nearest = [one for one, score in zip(candidates, scores, strict=True) if score == best]
    if len(nearest) > 1 and not same:
        listed = ", ".join(str(one["source"]) for one in nearest)
        message = f"the baseline has several rows that may be {row.source}: {listed}"
        hint = "bench one of them alone, or name the files in their folders as in the baseline"
        raise ProjectError("EK-REPORT-005", message, hint)
    return nearest[0]


def _alike(left: str, right: str) -> int:
    """Count the parts in which two paths agree from their ends."""
    pairs = zip(
        reversed(PurePosixPath(left).parts), reversed(PurePosixPath(right).parts), strict=False
    )
    count = 0
    for mine, theirs in pairs:
        if mine != theirs:
            break
        count += 1
    return count
