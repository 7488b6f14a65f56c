// Runs a bundle on a JVM: its instrumented self-test, its report, and answers to an item.
package com.example.doubler

import android.content.Folder
import java.io.File

fun main(arguments: Array<String>) {
    val context = Folder(File(System.getProperty("edgekit.bundle")))
    try {
        SelfTestOnDevice().modelGivesItsGoldenOutputs()
        println("the instrumented test passes")
    } catch (error: IllegalStateException) {
        println("the instrumented test fails")
    }
    InterpreterNetwork.open(context).use { network ->
        println(selfTest(context, network))
        val model = Model(network)
        val item = FloatArray(arguments.size) { arguments[it].toFloat() }
        println(model.classify(mapOf("x" to item), 2))
        try {
            model.outputs(mapOf("x" to floatArrayOf(1f, 2f, 3f)))
        } catch (error: IllegalArgumentException) {
            println(error.message)
        }
    }
}
