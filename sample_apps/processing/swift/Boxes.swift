// A detector's outputs as boxes: layouts, anchors, and non-maximum suppression.
import Foundation

public enum BoxLayout { case xyxy, yxyx, xywh, cxcywh }

/// Where boxes and scores lie in the flat outputs, and how they are read.
public struct BoxesSpec {
    public let layout: BoxLayout
    public let rows: Int
    public let classes: Int
    public let boxOutput: String
    public let scoreOutput: String
    public let classOutput: String?
    public let countOutput: String?
    public let boxRow: Int
    public let boxColumn: Int
    public let scoreStart: Int
    public let scoreRow: Int
    public let scoreColumn: Int
    /// Where a row's value that tells objects from background lies; -1 without one.
    public let objectness: Int
    public let sigmoid: Bool
    public let background: Bool
    public let suppress: Bool
    public let width: Float
    public let height: Float
    /// Four a row: centre y, centre x, height, width; empty without.
    public let anchors: [Float]
    public let scales: [Float]
    public let score: Float
    public let iou: Float
    public let largest: Int
    public let candidates: Int
}

/// A box; its sides are shares of the picture.
public struct Box {
    public let score: Float
    public let category: Int
    public let left: Float
    public let top: Float
    public let right: Float
    public let bottom: Float
}

/// The left, top, right and bottom of a row.
private func corners(_ spec: BoxesSpec, _ boxes: [Float], _ row: Int) -> [Float] {
    let v = (0..<4).map { boxes[row * spec.boxRow + $0 * spec.boxColumn] }
    if !spec.anchors.isEmpty {
        let anchor = spec.anchors[4 * row..<4 * row + 4].map { $0 }
        let y = v[0] / spec.scales[0] * anchor[2] + anchor[0]
        let x = v[1] / spec.scales[1] * anchor[3] + anchor[1]
        let tall = exp(v[2] / spec.scales[2]) * anchor[2]
        let wide = exp(v[3] / spec.scales[3]) * anchor[3]
        return [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2]
    }
    let sides: [Float]
    switch spec.layout {
    case .xyxy: sides = v
    case .yxyx: sides = [v[1], v[0], v[3], v[2]]
    case .xywh: sides = [v[0], v[1], v[0] + v[2], v[1] + v[3]]
    case .cxcywh:
        sides = [v[0] - v[2] / 2, v[1] - v[3] / 2, v[0] + v[2] / 2, v[1] + v[3] / 2]
    }
    return (0..<4).map { sides[$0] / ($0 % 2 == 0 ? spec.width : spec.height) }
}

private func area(_ left: Float, _ top: Float, _ right: Float, _ bottom: Float) -> Float {
    return max(0, right - left) * max(0, bottom - top)
}

/// Return the intersection over union of two boxes.
public func overlap(_ a: Box, _ b: Box) -> Float {
    let shared = area(
        max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom))
    let first = area(a.left, a.top, a.right, a.bottom)
    let both = first + area(b.left, b.top, b.right, b.bottom) - shared
    return both > 0 ? shared / both : 0
}

/// Return the candidates, best first, of which none overlaps a better one of its class.
private func suppressed(_ spec: BoxesSpec, _ candidates: [Box]) -> [Box] {
    var kept: [Box] = []
    for box in candidates where kept.count < spec.largest {
        let covered = kept.contains { $0.category == box.category && overlap($0, box) > spec.iou }
        if !spec.suppress || !covered { kept.append(box) }
    }
    return kept
}

/// Return an item's boxes, best first, of its outputs as real numbers by name.
public func readBoxes(_ spec: BoxesSpec, _ outputs: [String: [Float]]) -> [Box] {
    guard let boxes = outputs[spec.boxOutput], let scores = outputs[spec.scoreOutput] else {
        return []
    }
    let classes = spec.classOutput.flatMap { outputs[$0] }
    let counted = spec.countOutput.flatMap { outputs[$0]?.first }.map { Int($0.rounded(.toNearestOrEven)) }
    let first = spec.background ? 1 : 0
    var found: [Box] = []
    for row in 0..<min(spec.rows, max(0, counted ?? spec.rows)) {
        let sides = corners(spec, boxes, row)
        for k in first..<spec.classes {
            var score = scores[spec.scoreStart + row * spec.scoreRow + k * spec.scoreColumn]
            if spec.objectness >= 0 { score *= boxes[spec.objectness + row * spec.boxRow] }
            if spec.sigmoid { score = sigmoid([score])[0] }
            let category = classes.map { Int($0[row].rounded(.toNearestOrEven)) } ?? k - first
            if score >= spec.score {
                found.append(
                    Box(
                        score: score, category: category, left: sides[0], top: sides[1],
                        right: sides[2], bottom: sides[3]))
            }
        }
    }
    // Of equal scores the first stays first.
    let order = found.indices.sorted {
        found[$0].score == found[$1].score ? $0 < $1 : found[$0].score > found[$1].score
    }
    return suppressed(spec, order.prefix(spec.candidates).map { found[$0] })
}

/// Return numbers written in lines, which the compiler reads faster than a long list.
public func floats(_ lines: [String]) -> [Float] {
    return lines.flatMap { $0.split(separator: " ").map { Float(String($0)) ?? 0 } }
}
