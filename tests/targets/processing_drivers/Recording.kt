package edgekit

import java.io.DataInputStream
import java.io.File

/** Records items.bin, big-endian float32: each input and output in the order of the spec. */
fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    val times = File(folder, "times.txt").readLines().map { it.toLong() }
    val raw = RawItems(20, 90_000, 7)
    val recorder = Recorder(File(folder, "kotlin"), "test", 100, raw = raw)
    DataInputStream(File(folder, "items.bin").inputStream().buffered()).use { stream ->
        for (time in times) {
            val read = MonitoringSpec.tensors.map { tensor ->
                tensor to FloatArray(tensor.values) { stream.readFloat() }
            }
            val (inputs, outputs) = read.partition { it.first.isInput }
            fun named(all: List<Pair<TensorFeatures, FloatArray>>) =
                all.associate { it.first.name to it.second }
            recorder.add(named(inputs), named(outputs), time)
        }
    }
    recorder.error()
    recorder.add(mapOf("picture" to FloatArray(5)), mapOf(), 7)
    recorder.close()
    check(recorder.problem == "") { recorder.problem }
}
