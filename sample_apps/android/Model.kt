// The model with what happens before and after it. Nothing of Android: it runs on any JVM.
package edgekit

import java.nio.ByteBuffer

/** What runs the model's file: inputs and outputs are by name, each of one item. */
interface Network {
    /** The runtime's name and version. */
    val runtime: String

    fun run(inputs: Map<String, ByteBuffer>): Map<String, ByteBuffer>

    /** Forget what the model keeps inside itself. */
    fun forget()
}

/** A class and how sure the model is of it. */
data class Answer(val label: String, val score: Float)

/**
 * The model. What it carries from an inference to the next begins with `begin`.
 *
 * A recorder counts what it is given and answers, where the app asks for one.
 */
class Model(private val network: Network, private val recorder: Recorder? = null) {
    private var carried = zeros()

    val runtime: String get() = network.runtime

    /** Begin a stream: states are zeros again. Without streams every item is one. */
    fun begin() {
        carried = zeros()
        if (GoldenPairs.streams.isNotEmpty()) network.forget()
    }

    /** Return the outputs of one item as real numbers, by name, of raw inputs by name. */
    fun outputs(raw: Map<String, FloatArray>): Map<String, FloatArray> {
        if (recorder == null) return answered(raw)
        val began = System.nanoTime()
        val outputs = try {
            answered(raw)
        } catch (error: RuntimeException) {
            recorder.error()
            throw error
        }
        recorder.add(raw, outputs, System.nanoTime() - began)
        return outputs
    }

    private fun answered(raw: Map<String, FloatArray>): Map<String, FloatArray> {
        val inputs = ModelSpec.inputs.associate { input ->
            val values = raw[input.name]
                ?: throw IllegalArgumentException("input ${input.name} is missing")
            require(values.size == input.size) {
                "input ${input.name} takes ${input.size} values, not ${values.size}"
            }
            input.name to encode(input, values)
        }
        val answers = network.run(inputs + carried)
        carried = ModelSpec.states.associate { (state, output) ->
            state.name to encode(state, decode(output, answers.getValue(output.name)))
        }
        return ModelSpec.outputs.associate { it.name to decode(it, answers.getValue(it.name)) }
    }

    /** Return the best classes of one item, best first, of the output that scores them. */
    fun classify(raw: Map<String, FloatArray>, limit: Int = 3): List<Answer> {
        val output = ModelSpec.outputs.firstOrNull { it.name == ModelSpec.answers }
            ?: ModelSpec.outputs[0]
        val scores = activate(output.activation, outputs(raw).getValue(output.name))
        return top(scores, limit).map { Answer(label(it), scores[it]) }
    }
}

private fun zeros(): Map<String, ByteBuffer> =
    ModelSpec.states.associate { it.input.name to encode(it.input, FloatArray(it.input.size)) }

/** Return what a class is called; its number where it has no name. */
fun label(number: Int): String = ModelSpec.labels.getOrElse(number) { "$number" }

/** Return pixels, bytes of 0 to 255, as the raw values of an item. */
fun raw(pixels: ByteArray) = FloatArray(pixels.size) { (pixels[it].toInt() and 0xFF).toFloat() }
