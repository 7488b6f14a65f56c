// LiteRT's interpreter as the app uses it. Below it is a real network: LiteRT's C library.
package org.tensorflow.lite

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

class Interpreter(model: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        var threads = 1

        fun setNumThreads(count: Int): Options = apply { threads = count }
    }

    private val network: Long

    init {
        val file = File.createTempFile("model", ".tflite")
        file.deleteOnExit()
        val bytes = ByteArray(model.limit())
        model.duplicate().apply { rewind() }.get(bytes)
        file.writeBytes(bytes)
        System.load(System.getProperty("edgekit.network"))
        network = open(System.getProperty("edgekit.litert"), file.path, options.threads)
    }

    // It runs this one, or the file's only one.
    val signatureKeys: Array<String> = arrayOf("serving_default")

    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, key: String) {
        check(key in signatureKeys) { "no signature $key" }
        inputs.forEach { (name, buffer) -> put(network, name, checked(buffer)) }
        invoke(network)
        outputs.forEach { (name, buffer) -> get(network, name, checked(buffer)) }
        // The buffers are written to their ends.
        outputs.values.forEach { (it as ByteBuffer).apply { position(limit()) } }
    }

    fun runForMultipleInputsOutputs(inputs: Array<Any>, outputs: Map<Int, Any>): Unit =
        throw UnsupportedOperationException("${inputs.size} inputs, ${outputs.size} outputs without names")

    override fun close() {}

    private fun checked(buffer: Any): ByteBuffer = (buffer as ByteBuffer).also {
        check(it.isDirect && it.order() == ByteOrder.nativeOrder()) { "a buffer that is copied" }
    }

    private external fun open(library: String, file: String, threads: Int): Long
    private external fun put(network: Long, input: String, buffer: ByteBuffer)
    private external fun invoke(network: Long)
    private external fun get(network: Long, output: String, buffer: ByteBuffer)
}
