"""The table ``[evaluate.boxes]``: how a detector's outputs are read as boxes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgekit.project.table import Table

Share = Annotated[float, Field(ge=0, le=1)]


class BoxesTable(Table):
    format: Literal["postprocess", "ssd", "yolo", "boxes"] | None = None
    layout: Literal["xyxy", "yxyx", "xywh", "cxcywh"] | None = None
    pixels: bool | None = None
    boxes: str | None = None
    scores: str | None = None
    classes: str | None = None
    anchors: str | None = None
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    sigmoid: bool | None = None
    background: bool = False
    score: Share = 0.01
    iou: Share = 0.5
    largest: int = Field(default=100, ge=1, le=1000)
