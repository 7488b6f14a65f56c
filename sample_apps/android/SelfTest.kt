// The golden pairs: raw items, and the outputs that the model gave where the bundle was made.
package edgekit

import java.io.InputStream
import kotlin.math.abs
import kotlin.math.max

/** A golden output: its file, and by how much the values of another runtime may differ. */
class GoldenOutput(val name: String, val file: String, val tolerance: Float)

/** What the self-test saw: the runtime, and every difference that is too large. */
class SelfTestReport(val runtime: String, val items: Int, val problems: List<String>) {
    val passed: Boolean get() = items > 0 && problems.isEmpty()

    override fun toString(): String {
        val result = if (passed) "passed" else "FAILED"
        return (listOf("self-test $result on $runtime, $items golden items") + problems)
            .joinToString("\n")
    }
}

/** Run the model on every golden item; `open` opens a golden file by its name. */
fun selfTest(model: Model, open: (String) -> InputStream): SelfTestReport {
    val inputs = GoldenPairs.inputs.mapValues { (_, file) -> open(file).use { readNpy(it) } }
    val expected = GoldenPairs.outputs.associate { it.name to open(it.file).use { f -> readNpy(f) } }
    val items = inputs.values.first().shape[0]
    val largest = mutableMapOf<String, Float>()
    for (item in 0 until items) {
        if (GoldenPairs.streams.isEmpty() || item in GoldenPairs.streams) model.begin()
        val outputs = model.outputs(inputs.mapValues { (_, array) -> array.item(item) })
        for (golden in GoldenPairs.outputs) {
            val must = expected.getValue(golden.name).item(item)
            val seen = difference(outputs.getValue(golden.name), must)
            largest[golden.name] = max(largest[golden.name] ?: 0f, seen)
        }
    }
    val differing = GoldenPairs.outputs.filter { largest.getValue(it.name) > it.tolerance }.map {
        "output ${it.name} differs by ${largest[it.name]}, tolerance ${it.tolerance}"
    }
    return SelfTestReport(model.runtime, items, differing + misnamed(expected))
}

/** Return the largest difference; a value that is not a number, or is missing, differs from all. */
private fun difference(seen: FloatArray, must: FloatArray): Float {
    if (seen.size != must.size) return Float.POSITIVE_INFINITY
    return seen.indices.fold(0f) { largest, at ->
        val difference = abs(seen[at] - must[at])
        if (difference.isNaN()) Float.POSITIVE_INFINITY else max(largest, difference)
    }
}

/** Return the golden items that the labels call otherwise than the bundle's maker did. */
private fun misnamed(expected: Map<String, Npy>): List<String> {
    val scores = expected[ModelSpec.answers ?: return emptyList()] ?: return emptyList()
    return GoldenPairs.answers.mapIndexedNotNull { item, name ->
        val called = label(top(scores.item(item), 1)[0])
        if (called == name) null else "golden item $item is $name, and would be called $called"
    }
}
