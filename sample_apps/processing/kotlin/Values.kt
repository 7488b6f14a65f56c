// Rescale and quantize inputs, dequantize outputs, scores and the best of them.
package edgekit

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min

enum class DType(val bytes: Int, val low: Float, val high: Float) {
    UINT8(1, 0f, 255f),
    INT8(1, -128f, 127f),
    INT16(2, -32768f, 32767f),
    INT32(4, -2147483648f, 2147483520f),
    FLOAT32(4, 0f, 0f)
}

enum class Activation { NONE, SOFTMAX, SIGMOID }

enum class Color { RGB, BGR, GRAYSCALE }

enum class Method(val support: Double) {
    NEAREST(0.0), AREA(0.5), BILINEAR(1.0), HAMMING(1.0), BICUBIC(2.0), LANCZOS(3.0)
}

/** The pixels that an input takes; with `crop` the centre is cut, else the picture is stretched. */
class PictureSpec(
    val height: Int,
    val width: Int,
    val color: Color,
    val method: Method,
    val crop: Boolean,
    val channelsFirst: Boolean,
    /** Whether the model was measured on pictures; else whether pixels are 0 to 255 is open. */
    val measured: Boolean
)

/** An input of one item: raw * factor + offset, quantized where scale is not 0. */
class InputSpec(
    val name: String,
    val shape: IntArray,
    val dtype: DType,
    val scale: Float,
    val zeroPoint: Int,
    /** Value i has the factor and the offset of number i / channelStride % factors.size. */
    val factors: FloatArray,
    val offsets: FloatArray,
    val channelStride: Int,
    val picture: PictureSpec?
) {
    val size: Int get() = shape.fold(1) { product, length -> product * length }
}

/** An output of one item: (value - zeroPoint) * scale where scale is not 0. */
class OutputSpec(
    val name: String,
    val shape: IntArray,
    val dtype: DType,
    val scale: Float,
    val zeroPoint: Int,
    /** What makes scores of it. */
    val activation: Activation
) {
    val size: Int get() = shape.fold(1) { product, length -> product * length }
}

/** What is carried on: zeros at first, then what the output gave at the last inference. */
data class StateSpec(val input: InputSpec, val output: OutputSpec)

/** A buffer for the values of an input or output, in the machine's order of bytes. */
fun buffer(dtype: DType, size: Int): ByteBuffer =
    ByteBuffer.allocateDirect(dtype.bytes * size).order(ByteOrder.nativeOrder())

private fun put(values: ByteBuffer, dtype: DType, real: Float) {
    if (dtype == DType.FLOAT32) {
        values.putFloat(real)
        return
    }
    // NaN becomes the lowest value.
    val inside = if (real > dtype.low) min(real, dtype.high) else dtype.low
    when (dtype.bytes) {
        1 -> values.put(inside.toInt().toByte())
        2 -> values.putShort(inside.toInt().toShort())
        else -> values.putInt(inside.toInt())
    }
}

/** Turn the raw values of one item into what the model's input holds. */
fun encode(input: InputSpec, raw: FloatArray): ByteBuffer {
    val values = buffer(input.dtype, raw.size)
    for (at in raw.indices) {
        val channel = at / input.channelStride % input.factors.size
        var real = raw[at] * input.factors[channel] + input.offsets[channel]
        if (input.scale != 0f) {
            // rint rounds halves to even.
            real = Math.rint((real / input.scale).toDouble()).toFloat() + input.zeroPoint
        }
        put(values, input.dtype, real)
    }
    values.rewind()
    return values
}

/** Turn pixels, bytes of 0 to 255, into what the model's input holds. */
fun encode(input: InputSpec, pixels: ByteArray): ByteBuffer =
    encode(input, FloatArray(pixels.size) { (pixels[it].toInt() and 0xFF).toFloat() })

/** Turn what the model's output holds into real numbers. */
fun decode(output: OutputSpec, values: ByteBuffer): FloatArray {
    val held = values.duplicate().order(values.order())
    held.rewind()
    return FloatArray(held.remaining() / output.dtype.bytes) {
        val value = when (output.dtype) {
            DType.UINT8 -> (held.get().toInt() and 0xFF).toFloat()
            DType.INT8 -> held.get().toFloat()
            DType.INT16 -> held.getShort().toFloat()
            DType.INT32 -> held.getInt().toFloat()
            DType.FLOAT32 -> held.getFloat()
        }
        if (output.scale == 0f) value else (value - output.zeroPoint) * output.scale
    }
}

/** Return values as shares of 1, by their exponentials. */
fun softmax(values: FloatArray): FloatArray {
    var largest = Double.NEGATIVE_INFINITY
    for (value in values) largest = max(largest, value.toDouble())
    val powers = DoubleArray(values.size) { exp(values[it] - largest) }
    val sum = powers.sum()
    return FloatArray(values.size) { (powers[it] / sum).toFloat() }
}

/** Return each value between 0 and 1, by the logistic function. */
fun sigmoid(values: FloatArray): FloatArray =
    FloatArray(values.size) { (1 / (1 + exp(-values[it].toDouble()))).toFloat() }

/** Apply what makes scores of an output. */
fun activate(activation: Activation, values: FloatArray): FloatArray = when (activation) {
    Activation.SOFTMAX -> softmax(values)
    Activation.SIGMOID -> sigmoid(values)
    Activation.NONE -> values
}

/** Return the places of the best scores, best first: of equal ones the first, NaN last. */
fun top(scores: FloatArray, limit: Int): List<Int> {
    val order = Comparator<Int> { i, j ->
        val a = scores[i]
        val b = scores[j]
        when {
            a.isNaN() || b.isNaN() -> a.isNaN().compareTo(b.isNaN())
            a > b -> -1
            a < b -> 1
            else -> 0
        }
    }
    // Sorting is stable.
    return scores.indices.sortedWith(order).take(limit)
}
