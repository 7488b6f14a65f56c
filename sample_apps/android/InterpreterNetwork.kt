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
class InterpreterNetwork(model: MappedByteBuffer, threads: Int = 1) : Network, Closeable {
    private val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(threads))
    // A file without signatures has its tensors in the order of ModelSpec.
    private val signature: String? =
        interpreter.signatureKeys.let { keys -> keys.find { it == "serving_default" } ?: keys.singleOrNull() }

    override val runtime: String = "LiteRT ${GoldenPairs.LITERT}"

    override fun run(inputs: Map<String, ByteBuffer>): Map<String, ByteBuffer> {
        val outputs = ModelSpec.outputs.associate { it.name to buffer(it.dtype, it.size) }
        if (signature != null) {
            interpreter.runSignature(inputs, outputs, signature)
        } else {
            val ordered = Array<Any>(ModelSpec.inputs.size) { inputs.getValue(ModelSpec.inputs[it].name) }
            val numbered = ModelSpec.outputs.indices
                .associateWith<Int, Any> { outputs.getValue(ModelSpec.outputs[it].name) }
            interpreter.runForMultipleInputsOutputs(ordered, numbered)
        }
        return outputs
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
