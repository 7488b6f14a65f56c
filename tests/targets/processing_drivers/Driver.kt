// Answers the golden cases with the Kotlin library: a line of tokens in, a line of numbers out.
package edgekit

import java.io.File
import java.nio.ByteBuffer

private class Tokens(line: String) {
    private val words = line.split(' ').iterator()
    fun word(): String = words.next()
    fun integer(): Int = words.next().toInt()
    fun flag(): Boolean = integer() == 1
    fun real(): Float = words.next().toFloat()
    fun reals(count: Int = integer()) = FloatArray(count) { real() }
}

private fun picture(tokens: Tokens): ByteArray {
    val height = tokens.integer()
    val width = tokens.integer()
    val method = Method.values()[tokens.integer()]
    val color = Color.values()[tokens.integer()]
    val settings = PictureSpec(height, width, color, method, tokens.flag(), tokens.flag(), true)
    val rows = tokens.integer()
    val columns = tokens.integer()
    val channels = tokens.integer()
    val source = ByteArray(rows * columns * channels) { tokens.integer().toByte() }
    return fit(settings, source, rows, columns, channels)
}

private fun encoded(tokens: Tokens): FloatArray {
    val dtype = DType.values()[tokens.integer()]
    val scale = tokens.real()
    val zero = tokens.integer()
    val count = tokens.integer()
    val stride = tokens.integer()
    val input = InputSpec(
        "", intArrayOf(), dtype, scale, zero, tokens.reals(count), tokens.reals(count), stride, null
    )
    return decode(OutputSpec("", intArrayOf(), dtype, 0f, 0, Activation.NONE), encode(input, tokens.reals()))
}

private fun decoded(tokens: Tokens): FloatArray {
    val dtype = DType.values()[tokens.integer()]
    val output = OutputSpec("", intArrayOf(), dtype, tokens.real(), tokens.integer(), Activation.NONE)
    val held = tokens.reals()
    val values: ByteBuffer = buffer(dtype, held.size)
    for (value in held) {
        when (dtype.bytes) {
            1 -> values.put(value.toInt().toByte())
            2 -> values.putShort(value.toInt().toShort())
            else -> if (dtype == DType.INT32) values.putInt(value.toInt()) else values.putFloat(value)
        }
    }
    return decode(output, values)
}

private fun boxes(tokens: Tokens): List<Any> {
    val layout = BoxLayout.values()[tokens.integer()]
    val places = List(8) { tokens.integer() }
    val switches = List(3) { tokens.flag() }
    val (width, height, score, iou) = tokens.reals(4).toList()
    val largest = tokens.integer()
    val candidates = tokens.integer()
    val scales = tokens.reals(4)
    val anchors = tokens.reals(4 * tokens.integer())
    val held = List(4) { tokens.reals() }
    val spec = BoxesSpec(
        layout, places[0], places[1], "box", "score", if (held[2].isEmpty()) null else "class",
        if (held[3].isEmpty()) null else "count", places[2], places[3], places[4], places[5],
        places[6], places[7], switches[0], switches[1], switches[2], width, height, anchors, scales,
        score, iou, largest, candidates
    )
    val outputs = listOf("box", "score", "class", "count").zip(held).toMap()
    return readBoxes(spec, outputs).flatMap {
        listOf<Any>(it.score, it.category, it.left, it.top, it.right, it.bottom)
    }
}

private fun signal(tokens: Tokens): FloatArray {
    val sizes = List(7) { tokens.integer() }
    val (low, high, floor) = List(3) { tokens.word().toDouble() }
    val settings = SignalSpec(
        sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], low, high, sizes[5], sizes[6], floor
    )
    return features(settings, tokens.reals())
}

private fun number(value: Boolean) = if (value) 1 else 0

private fun constants(): List<Any> {
    val input = ModelSpec.inputs[0]
    val output = ModelSpec.outputs[0]
    val image = input.picture!!
    val bytes = ModelSpec.labels.joinToString("").toByteArray().map { it.toInt() and 0xFF }
    return listOf<Any>(
        input.size, input.dtype.ordinal, input.scale, input.zeroPoint, input.channelStride
    ) + input.factors.asList() + input.offsets.asList() + listOf<Any>(
        image.height, image.width, image.color.ordinal, image.method.ordinal, number(image.crop),
        number(image.channelsFirst), output.size, output.dtype.ordinal, output.scale,
        output.zeroPoint, output.activation.ordinal, ModelSpec.boxes.rows, ModelSpec.boxes.iou,
        ModelSpec.boxes.candidates, ModelSpec.boxes.anchors[7], ModelSpec.signal.fft,
        ModelSpec.signal.floor
    ) + bytes
}

private fun answer(tokens: Tokens): List<Any> = when (tokens.word()) {
    "fit" -> picture(tokens).map { it.toInt() and 0xFF }
    "encode" -> encoded(tokens).map { it.toDouble() }
    "decode" -> decoded(tokens).map { it.toDouble() }
    "activate" -> activate(Activation.values()[tokens.integer()], tokens.reals()).asList()
    "top" -> tokens.integer().let { top(tokens.reals(), it) }
    "boxes" -> boxes(tokens)
    "features" -> signal(tokens).asList()
    else -> constants()
}

fun main() {
    val answers = File("cases.txt").readLines().map { line ->
        answer(Tokens(line)).joinToString(" ") { if (it is Float) it.toDouble().toString() else "$it" }
    }
    File("answers.txt").writeText(answers.joinToString("\n") + "\n")
}
