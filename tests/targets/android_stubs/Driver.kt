// Runs the bundle's self-test on a JVM, over a network that multiplies by its first argument.
package com.example.doubler

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

class Multiplier(private val factor: Float) : Network {
    override val runtime = "a multiplier"

    override fun run(inputs: Map<String, ByteBuffer>): Map<String, ByteBuffer> {
        val input = inputs.getValue("x")
        val output = ByteBuffer.allocate(input.limit()).order(ByteOrder.nativeOrder())
        while (input.hasRemaining()) output.putFloat(input.getFloat() * factor)
        return mapOf("y" to output)
    }
}

fun main(arguments: Array<String>) {
    val model = Model(Multiplier(arguments[0].toFloat()))
    println(selfTest(model) { File(arguments[1], it).inputStream() })
    println(model.classify(mapOf("x" to floatArrayOf(4f, 3f, 2f, 1f)), 2))
    try {
        model.outputs(mapOf("x" to floatArrayOf(1f)))
    } catch (error: IllegalArgumentException) {
        println(error.message)
    }
}
