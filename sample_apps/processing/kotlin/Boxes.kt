// A detector's outputs as boxes: layouts, anchors, and non-maximum suppression.
package edgekit

import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min

enum class BoxLayout { XYXY, YXYX, XYWH, CXCYWH }

/** Where boxes and scores lie in the flat outputs, and how they are read. */
class BoxesSpec(
    val layout: BoxLayout,
    val rows: Int,
    val classes: Int,
    val boxOutput: String,
    val scoreOutput: String,
    val classOutput: String?,
    val countOutput: String?,
    val boxRow: Int,
    val boxColumn: Int,
    val scoreStart: Int,
    val scoreRow: Int,
    val scoreColumn: Int,
    /** Where a row's value that tells objects from background lies; -1 without one. */
    val objectness: Int,
    val sigmoid: Boolean,
    val background: Boolean,
    val suppress: Boolean,
    val width: Float,
    val height: Float,
    /** Four a row: centre y, centre x, height, width; empty without. */
    val anchors: FloatArray,
    val scales: FloatArray,
    val score: Float,
    val iou: Float,
    val largest: Int,
    val candidates: Int
)

/** A box; its sides are shares of the picture. */
data class Box(
    val score: Float,
    val category: Int,
    val left: Float,
    val top: Float,
    val right: Float,
    val bottom: Float
)

/** The left, top, right and bottom of a row. */
private fun corners(spec: BoxesSpec, boxes: FloatArray, row: Int): FloatArray {
    val (a, b, c, d) = List(4) { boxes[row * spec.boxRow + it * spec.boxColumn] }
    if (spec.anchors.isNotEmpty()) {
        val (centerY, centerX, height, width) = List(4) { spec.anchors[4 * row + it] }
        val y = a / spec.scales[0] * height + centerY
        val x = b / spec.scales[1] * width + centerX
        val tall = exp(c / spec.scales[2]) * height
        val wide = exp(d / spec.scales[3]) * width
        return floatArrayOf(x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
    }
    val sides = when (spec.layout) {
        BoxLayout.XYXY -> floatArrayOf(a, b, c, d)
        BoxLayout.YXYX -> floatArrayOf(b, a, d, c)
        BoxLayout.XYWH -> floatArrayOf(a, b, a + c, b + d)
        BoxLayout.CXCYWH -> floatArrayOf(a - c / 2, b - d / 2, a + c / 2, b + d / 2)
    }
    return FloatArray(4) { sides[it] / (if (it % 2 == 0) spec.width else spec.height) }
}

private fun area(left: Float, top: Float, right: Float, bottom: Float): Float =
    max(0f, right - left) * max(0f, bottom - top)

/** Return the intersection over union of two boxes. */
fun overlap(a: Box, b: Box): Float {
    val shared = area(
        max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom)
    )
    val both = area(a.left, a.top, a.right, a.bottom) + area(b.left, b.top, b.right, b.bottom) - shared
    return if (both > 0) shared / both else 0f
}

/** Return the candidates, best first, of which none overlaps a better one of its class. */
private fun suppressed(spec: BoxesSpec, candidates: List<Box>): List<Box> {
    val kept = mutableListOf<Box>()
    for (box in candidates) {
        if (kept.size == spec.largest) break
        val covered = kept.any { it.category == box.category && overlap(it, box) > spec.iou }
        if (!spec.suppress || !covered) kept.add(box)
    }
    return kept
}

/** Return an item's boxes, best first, of its outputs as real numbers by name. */
fun readBoxes(spec: BoxesSpec, outputs: Map<String, FloatArray>): List<Box> {
    val boxes = outputs.getValue(spec.boxOutput)
    val scores = outputs.getValue(spec.scoreOutput)
    val classes = spec.classOutput?.let { outputs.getValue(it) }
    val counted = spec.countOutput?.let { Math.rint(outputs.getValue(it)[0].toDouble()).toInt() }
    val first = if (spec.background) 1 else 0
    val found = mutableListOf<Box>()
    for (row in 0 until min(spec.rows, counted ?: spec.rows)) {
        val sides = corners(spec, boxes, row)
        for (k in first until spec.classes) {
            var score = scores[spec.scoreStart + row * spec.scoreRow + k * spec.scoreColumn]
            if (spec.objectness >= 0) score *= boxes[spec.objectness + row * spec.boxRow]
            if (spec.sigmoid) score = sigmoid(floatArrayOf(score))[0]
            val category = classes?.let { Math.rint(it[row].toDouble()).toInt() } ?: k - first
            if (score >= spec.score) {
                found.add(Box(score, category, sides[0], sides[1], sides[2], sides[3]))
            }
        }
    }
    // Sorting is stable: of equal scores the first stays first.
    return suppressed(spec, found.sortedByDescending { it.score }.take(spec.candidates))
}

/** Return numbers written in lines: more of them than a method may hold as code. */
fun floats(lines: List<String>): FloatArray =
    lines.flatMap { it.split(' ') }.map { it.toFloat() }.toFloatArray()
