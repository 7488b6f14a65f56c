"""Pre- and postprocessing in Swift: no compiler runs here, so a real grammar reads every file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import processing_cases
import pytest

from edgekit.targets.bundles.processing import swift

tree_sitter = pytest.importorskip("tree_sitter", reason="tree-sitter is not installed")
tree_sitter_swift = pytest.importorskip("tree_sitter_swift", reason="its Swift is not installed")
FILES = dict(swift.files(processing_cases.golden_spec(), "golden"))
FAULTS = {
    "Values.swift": ("public func softmax(_ values: [Float]) -> [Float] {", "public func softmax("),
    "Pictures.swift": ("if from == to {", "if from == to"),
    "Boxes.swift": ("case .xyxy: sides = v\n", "case .xyxy sides = v\n"),
    "Signals.swift": ("half *= 2\n", "half *= \n"),
    "ModelSpec.swift": ("\\u{dc}", '"\\u{dc}'),
}


def errors(content: bytes) -> list[str]:
    """Return what the grammar cannot read, or misses."""
    language = tree_sitter.Language(tree_sitter_swift.language())
    root = tree_sitter.Parser(language).parse(content).root_node
    return [f"{node.start_point}: {node.text[:60]!r}" for node in _wrong(root)]


def _wrong(node: Any) -> Iterator[Any]:
    if node.is_error or node.is_missing:
        yield node
    for child in node.children:
        yield from _wrong(child)


def test_every_part_is_there() -> None:
    assert set(FILES) == {"ModelSpec.swift", *swift.PARTS.values()}


@pytest.mark.parametrize("name", FILES)
def test_swift_is_read_without_an_error(name: str) -> None:
    assert errors(FILES[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_a_fault_in_swift_is_seen(name: str) -> None:
    right, wrong = FAULTS[name]
    text = FILES[name].decode()
    assert right in text
    assert errors(text.replace(right, wrong).encode())


def test_constants_name_every_argument_in_the_order_of_the_library() -> None:
    """A call of a memberwise initializer takes all properties, in their order."""
    fixed = "".join(content.decode() for name, content in FILES.items() if name != swift.CONSTANTS)
    constants = FILES[swift.CONSTANTS].decode()
    for struct, body in re.findall(r"public struct (\w+Spec) \{\n(.*?)\n\}", fixed, re.DOTALL):
        stored = re.findall(r"^    public let (\w+):", body, re.MULTILINE)
        call = constants[constants.index(f"{struct}(") :]
        at = -1
        for name in stored:
            position = call.index(f"{name}: ")
            assert position > at, f"{struct}: {name}"
            at = position
