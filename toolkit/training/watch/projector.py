"""Embeddings as TensorBoard's projector reads them: tables, and a sheet of small pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorboard.plugins import projector

from edgekit.store import write_bytes
from edgekit.training.watch.answers import Answers, classes, probabilities
from edgekit.training.watch.batch import Batch
from edgekit.training.watch.pictures import QUICK, sprite, thumbnail

TENSORS, METADATA, SPRITE = "tensors.tsv", "metadata.tsv", "sprite.png"


def write_embeddings(
    folder: Path, items: Batch, answers: Answers, called: Callable[[int], str] = str
) -> None:
    """Write the embeddings of items, with their labels and predictions as they are ``called``, to a
    run's folder.
    """
    if answers.embeddings is None:
        return
    table = "\n".join("\t".join(f"{v:.6g}" for v in row) for row in answers.embeddings)
    write_bytes(folder / TENSORS, f"{table}\n".encode())
    config = projector.ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name, entry.tensor_path = answers.layer, TENSORS
    if rows := _metadata(items, answers, called):
        write_bytes(folder / METADATA, ("\n".join(rows) + "\n").encode())
        entry.metadata_path = METADATA
    pictures = items.images
    if pictures is not None:
        width, height = thumbnail(pictures)
        # The items stay the same, so their sheet does.
        if not (folder / SPRITE).exists():
            part = folder / f".{SPRITE}"
            sprite(pictures).save(part, "PNG", compress_level=QUICK)
            part.rename(folder / SPRITE)
        entry.sprite.image_path = SPRITE
        entry.sprite.single_image_dim.extend([width, height])
    projector.visualize_embeddings(str(folder), config)


def _metadata(items: Batch, answers: Answers, called: Callable[[int], str]) -> list[str]:
    """Return the lines of a table of labels and predictions: one column has no heading."""
    labels = np.asarray(items.y) if hasattr(items.y, "shape") else None
    if labels is None:
        return []
    numbers = classes(labels)
    if numbers is None:
        flat = labels.reshape(len(labels), -1)
        return [f"{value:.6g}" for value in flat[:, 0]] if flat.shape[1] == 1 else []
    likely = None if answers.outputs is None else probabilities(answers.outputs, labels)
    if likely is None:
        return [called(label) for label in numbers]
    rows = [
        f"{called(label)}\t{called(row.argmax())}"
        for label, row in zip(numbers, likely, strict=True)
    ]
    return ["label\tprediction", *rows]
