package edgekit

import android.content.Context
import java.io.Closeable
import java.io.FileInputStream
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter

/** The model in LiteRT's interpreter, from the app's assets. Close it when done. */
class InterpreterNetwork(private val model: MappedByteBuffer, private val threads: Int = 1) :
    Network, Closeable {
    private var interpreter = opened()
    private val inputs = ModelSpec.inputs + ModelSpec.states.map { it.input }
    private val outputs = ModelSpec.outputs + ModelSpec.states.map { it.output }
    // A file without signatures has its tensors in the order of ModelSpec.
    private val signature: String? = GoldenPairs.signature
        ?: interpreter.signatureKeys.let { keys -> keys.find { it == "serving_default" } ?: keys.singleOrNull() }

    override val runtime: String = "LiteRT ${GoldenPairs.LITERT}"

    private fun opened() = Interpreter(model, Interpreter.Options().setNumThreads(threads))

    override fun run(inputs: Map<String, ByteBuffer>): Map<String, ByteBuffer> {
        val answers = outputs.associate { it.name to buffer(it.dtype, it.size) }
        if (signature != null) {
            interpreter.runSignature(inputs, answers, signature)
        } else {
            val ordered = Array<Any>(this.inputs.size) { inputs.getValue(this.inputs[it].name) }
            val numbered = outputs.indices
                .associateWith<Int, Any> { answers.getValue(outputs[it].name) }
            interpreter.runForMultipleInputsOutputs(ordered, numbered)
        }
        return answers
    }

    /** Open the model anew: the interpreter resets no resource variables. */
    override fun forget() {
        interpreter.close()
        interpreter = opened()
    }

    override fun close() = interpreter.close()

    companion object {
        /** Open the model of the app's assets; Play's AI pack has it in the folder `model`. */
        fun open(context: Context, asset: String = "model.tflite"): InterpreterNetwork {
            // Fails for an asset that is stored compressed: androidResources { noCompress += "tflite" }
            context.assets.openFd(asset).use { file ->
                FileInputStream(file.fileDescriptor).use { stream ->
                    val mapped = stream.channel.map(
                        FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength
                    )
                    return InterpreterNetwork(mapped)
                }
            }
        }
    }
}

/** Run the self-test with the golden pairs of the app's assets: at the app's first start. */
fun selfTest(context: Context, network: Network): SelfTestReport {
    val open: (String) -> InputStream = { name -> context.assets.open(name) }
    return selfTest(Model(network), open)
}
