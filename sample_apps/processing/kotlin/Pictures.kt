// Colours, size and layout of a picture: to the bit what Pillow's resize gives.
//
// Every pixel of the result is a weighted sum of the source's pixels that the filter covers. The
// filter widens with the reduction, so pictures are antialiased. Weights are whole numbers of
// 2^-22, and each of the two passes, horizontal then vertical, rounds to 8 bits.
package edgekit

import kotlin.math.abs
import kotlin.math.cos
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin

private const val WEIGHT_BITS = 22

private fun sinc(x: Double): Double = if (x == 0.0) 1.0 else sin(x * Math.PI) / (x * Math.PI)

private fun bicubic(x: Double): Double = when {
    x < 1.0 -> (1.5 * x - 2.5) * x * x + 1
    x < 2.0 -> (((x - 5) * x + 8) * x - 4) * -0.5
    else -> 0.0
}

private fun filter(method: Method, x: Double): Double = when (method) {
    Method.AREA -> if (x > -0.5 && x <= 0.5) 1.0 else 0.0
    Method.BILINEAR -> max(0.0, 1.0 - abs(x))
    Method.HAMMING -> if (abs(x) < 1.0) sinc(x) * (0.54 + 0.46 * cos(x * Math.PI)) else 0.0
    Method.LANCZOS -> if (x >= -3.0 && x < 3.0) sinc(x) * sinc(x / 3) else 0.0
    else -> bicubic(abs(x))
}

/** A side of the picture: `from` pixels are scaled to `to`, and `start` is where the cut begins. */
private class Side(val from: Int, val to: Int, val start: Int)

/** The first source pixel of a pixel, and the weights from there on. */
private class Weights(val first: Int, val taps: IntArray)

private fun whole(first: Int) = Weights(first, intArrayOf(1 shl WEIGHT_BITS))

/** The source pixels of nearest: the step is added, because a product rounds otherwise. */
private fun nearest(side: Side): List<Weights> {
    val step = side.from.toDouble() / side.to
    var position = step * 0.5
    return List(side.to) {
        val weights = whole(position.toInt())
        position += step
        weights
    }
}

private fun weigh(method: Method, side: Side, at: Int): Weights {
    val scale = side.from.toDouble() / side.to
    val factor = max(1.0, scale)
    val support = method.support * factor
    val center = (at + 0.5) * scale
    val inverse = 1.0 / factor
    val first = max(0, (center - support + 0.5).toInt())
    val last = min(side.from, (center + support + 0.5).toInt())
    val values = DoubleArray(last - first) { filter(method, (it + first - center + 0.5) * inverse) }
    var sum = 0.0
    for (value in values) sum += value
    return Weights(first, IntArray(values.size) {
        val weight = (if (sum == 0.0) values[it] else values[it] / sum) * (1 shl WEIGHT_BITS)
        (if (weight < 0) weight - 0.5 else weight + 0.5).toInt()
    })
}

/** The weights of `count` pixels from the start of the cut on. */
private fun weightsOf(method: Method, side: Side, count: Int): List<Weights> = when {
    side.from == side.to -> List(count) { whole(side.start + it) }
    method == Method.NEAREST -> nearest(side).subList(side.start, side.start + count)
    else -> List(count) { weigh(method, side, side.start + it) }
}

private fun rounded(sum: Int): Byte =
    min(255, max(0, (sum + (1 shl (WEIGHT_BITS - 1))) shr WEIGHT_BITS)).toByte()

/** A picture in one channel, or in three as RGB; gray is ITU-R 601-2 in whole numbers. */
private fun colored(source: ByteArray, channels: Int, wanted: Int): IntArray =
    IntArray(source.size / channels * wanted) {
        val at = it / wanted * channels
        fun channel(c: Int) = source[at + c].toInt() and 0xFF
        when {
            channels == 1 -> channel(0)
            wanted == 3 -> channel(it % 3)
            else -> (19595 * channel(0) + 38470 * channel(1) + 7471 * channel(2) + 0x8000) shr 16
        }
    }

/** A side that is stretched, or scaled by `factor` and cut in the centre. */
private fun side(from: Int, size: Int, factor: Double?): Side {
    if (factor == null) return Side(from, size, 0)
    // rint rounds halves to even.
    val scaled = max(size, Math.rint(from * factor).toInt())
    return Side(from, scaled, (scaled - size) / 2)
}

/**
 * Fit a picture, bytes [height, width, channels] of 1 (gray), 3 (RGB) or 4 (RGBA; alpha is
 * dropped) channels, into the pixels that the model takes.
 */
fun fit(picture: PictureSpec, source: ByteArray, height: Int, width: Int, channels: Int): ByteArray {
    require(channels in intArrayOf(1, 3, 4) && source.size == height * width * channels) {
        "${source.size} bytes are not a picture of ${height}x${width}x$channels"
    }
    val wanted = if (picture.color == Color.GRAYSCALE) 1 else 3
    val pixels = colored(source, channels, wanted)
    val tall = picture.height.toDouble() / height
    val wide = picture.width.toDouble() / width
    val factor = if (picture.crop) max(tall, wide) else null
    val rows = side(height, picture.height, factor)
    val columns = side(width, picture.width, factor)
    val across = IntArray(height * picture.width * wanted)
    weightsOf(picture.method, columns, picture.width).forEachIndexed { x, weights ->
        for (y in 0 until height) {
            for (c in 0 until wanted) {
                val from = (y * width + weights.first) * wanted + c
                var sum = 0
                for (k in weights.taps.indices) sum += weights.taps[k] * pixels[from + k * wanted]
                across[(y * picture.width + x) * wanted + c] = rounded(sum).toInt() and 0xFF
            }
        }
    }
    return down(picture, weightsOf(picture.method, rows, picture.height), across, wanted)
}

/** The vertical pass, into the model's order of colours and its layout. */
private fun down(picture: PictureSpec, rows: List<Weights>, across: IntArray, wanted: Int): ByteArray {
    val width = picture.width
    val pixels = ByteArray(picture.height * width * wanted)
    rows.forEachIndexed { y, weights ->
        for (x in 0 until width) {
            for (c in 0 until wanted) {
                val from = (weights.first * width + x) * wanted + c
                var sum = 0
                for (k in weights.taps.indices) {
                    sum += weights.taps[k] * across[from + k * width * wanted]
                }
                val channel = if (picture.color == Color.BGR) 2 - c else c
                val place = if (picture.channelsFirst) {
                    (channel * picture.height + y) * width + x
                } else {
                    (y * width + x) * wanted + channel
                }
                pixels[place] = rounded(sum)
            }
        }
    }
    return pixels
}
