"""The table ``[evaluate.boxes]``: how a detector's outputs are read as boxes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgekit.project.table import Table

Share = Annotated[float, Field(ge=0, le=1)]


class BoxesTable(Table):
    """``[evaluate] boxes``: how a detector's outputs are read; by default as shapes tell."""

    format: Literal["postprocess", "ssd", "yolo", "boxes"] | None = None
    """The kind of head. Default: by the shapes of the outputs. ``format = "ssd"``"""
    layout: Literal["xyxy", "yxyx", "xywh", "cxcywh"] | None = None
    """What the four numbers of a box are: corners, or centre and size. ``layout = "cxcywh"``"""
    pixels: bool | None = None
    """Coordinates are pixels of the model's input, not shares of it. ``pixels = false``"""
    boxes: str | None = None
    """The output with the boxes. ``boxes = "raw_boxes"``"""
    scores: str | None = None
    """The output with the scores. ``scores = "raw_scores"``"""
    classes: str | None = None
    """The output with the classes, for postprocess. ``classes = "raw_classes"``"""
    anchors: str | None = None
    """Anchors of an SSD, [k, 4]: centre y, centre x, height, width as shares.

    ``anchors = "anchors.npy"``
    """
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """Divisors of the offsets of y, x, height and width. ``scales = [10, 10, 5, 5]``"""
    sigmoid: bool | None = None
    """Scores are logits. ``sigmoid = true``"""
    background: bool = False
    """Class 0 is the background. ``background = true``"""
    score: Share = 0.01
    """Boxes with a lower score are dropped. ``score = 0.01``"""
    iou: Share = 0.5
    """Of two boxes of a class that overlap more, the better is kept. ``iou = 0.5``"""
    largest: int = Field(default=100, ge=1, le=1000)
    """How many boxes a picture has at most. ``largest = 100``"""
