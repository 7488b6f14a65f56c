/** A detector's outputs as boxes: layouts, anchors, and non-maximum suppression. */
import { roundHalfEven, sigmoid } from "./values.js";
function fromAnchor(spec, [a, b, c, d], anchor) {
    const y = (a / spec.scales[0]) * anchor[2] + anchor[0];
    const x = (b / spec.scales[1]) * anchor[3] + anchor[1];
    const tall = Math.exp(c / spec.scales[2]) * anchor[2];
    const wide = Math.exp(d / spec.scales[3]) * anchor[3];
    return [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2];
}
function fromLayout(spec, [a, b, c, d]) {
    const sides = {
        xyxy: [a, b, c, d],
        yxyx: [b, a, d, c],
        xywh: [a, b, a + c, b + d],
        cxcywh: [a - c / 2, b - d / 2, a + c / 2, b + d / 2],
    };
    const [left, top, right, bottom] = sides[spec.layout];
    return [left / spec.width, top / spec.height, right / spec.width, bottom / spec.height];
}
function area(left, top, right, bottom) {
    return Math.max(0, right - left) * Math.max(0, bottom - top);
}
/** Return the intersection over union of two boxes. */
export function overlap(a, b) {
    const shared = area(Math.max(a.left, b.left), Math.max(a.top, b.top), Math.min(a.right, b.right), Math.min(a.bottom, b.bottom));
    const both = area(a.left, a.top, a.right, a.bottom) + area(b.left, b.top, b.right, b.bottom) - shared;
    return both > 0 ? shared / both : 0;
}
/** Return the candidates, best first, of which none overlaps a better one of its class. */
function suppressed(spec, candidates) {
    const kept = [];
    for (const box of candidates) {
        if (kept.length === spec.largest)
            break;
        const covers = (other) => other.category === box.category && overlap(other, box) > spec.iou;
        if (!spec.suppress || !kept.some(covers))
            kept.push(box);
    }
    return kept;
}
/** Return an item's boxes, best first, of its outputs as real numbers by name. */
export function readBoxes(spec, outputs) {
    const boxes = outputs[spec.boxOutput];
    const scores = outputs[spec.scoreOutput];
    const classes = spec.classOutput === null ? null : outputs[spec.classOutput];
    const counted = spec.countOutput === null ? spec.rows : roundHalfEven(outputs[spec.countOutput][0]);
    const found = [];
    for (let row = 0; row < Math.min(spec.rows, counted); row++) {
        const four = [0, 1, 2, 3].map((c) => boxes[row * spec.boxRow + c * spec.boxColumn]);
        const anchor = spec.anchors[row];
        const [left, top, right, bottom] = anchor ? fromAnchor(spec, four, anchor) : fromLayout(spec, four);
        for (let k = Number(spec.background); k < spec.classes; k++) {
            let score = scores[spec.scoreStart + row * spec.scoreRow + k * spec.scoreColumn];
            if (spec.objectness >= 0)
                score *= boxes[spec.objectness + row * spec.boxRow];
            if (spec.sigmoid)
                score = sigmoid([score])[0];
            const category = classes ? roundHalfEven(classes[row]) : k - Number(spec.background);
            if (score >= spec.score)
                found.push({ score, category, left, top, right, bottom });
        }
    }
    // Sorting is stable: of equal scores the first stays first.
    found.sort((a, b) => b.score - a.score);
    return suppressed(spec, found.slice(0, spec.candidates));
}
