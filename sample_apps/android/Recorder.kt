// Counts what a model is given and answers, into records. Nothing of Android: it runs on any JVM.
package edgekit

import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone
import java.util.TreeMap

/** What the features of a tensor are: its values where it is small, else statistics of channels. */
class TensorFeatures(
    val name: String,
    val isInput: Boolean,
    val values: Int,
    val channels: Int,
    val stride: Int,
    val step: Int,
    val width: Int,
    val statistics: Int,
    val features: List<String>,
    val shape: List<Int>
)

/** A feature's name, and the edges between its bins, apart by spaces. */
class FeatureBins(val name: String, edges: String) {
    val edges: DoubleArray =
        edges.split(' ').filter { it.isNotEmpty() }.map { it.toDouble() }.toDoubleArray()
}

/** The output that scores classes; with a threshold it is one score of two classes. */
class ScoredClasses(
    val output: String,
    val feature: String,
    val activation: String,
    val threshold: Double?
)

/** Return the features of one item of a tensor; of another size it has none: NaN. */
fun features(tensor: TensorFeatures, values: FloatArray): DoubleArray {
    val found = DoubleArray(tensor.features.size) { Double.NaN }
    if (values.size != tensor.values) return found
    if (tensor.statistics == 0) return DoubleArray(values.size) { values[it].toDouble() }
    for (channel in 0 until tensor.channels) {
        val own = statistics(tensor, values, channel)
        if (tensor.statistics == 5) own[4] = sharpness(tensor, values, channel)
        own.copyInto(found, channel * tensor.statistics, 0, tensor.statistics)
    }
    return found
}

/** Return mean, standard deviation, least and largest of a channel, and room for one more. */
private fun statistics(tensor: TensorFeatures, values: FloatArray, channel: Int): DoubleArray {
    val count = values.size / tensor.channels
    fun each(use: (Double) -> Unit) {
        for (at in channel * tensor.stride until values.size step tensor.channels * tensor.stride) {
            for (k in at until at + tensor.stride) use(values[k].toDouble())
        }
    }
    var sum = 0.0
    var least = Double.POSITIVE_INFINITY
    var largest = Double.NEGATIVE_INFINITY
    each {
        sum += it
        least = Math.min(least, it)
        largest = Math.max(largest, it)
    }
    val mean = sum / count
    var squares = 0.0
    each { squares += (it - mean) * (it - mean) }
    return doubleArrayOf(mean, Math.sqrt(squares / count), least, largest, 0.0)
}

/** Return the mean step between neighbours in a row. */
private fun sharpness(tensor: TensorFeatures, values: FloatArray, channel: Int): Double {
    var sum = 0.0
    var count = 0
    for (row in values.indices step tensor.width * tensor.step) {
        for (at in row until row + (tensor.width - 1) * tensor.step) {
            if (at / tensor.stride % tensor.channels != channel) continue
            sum += Math.abs(values[at + tensor.step].toDouble() - values[at].toDouble())
            count++
        }
    }
    return sum / count
}

/** Return the class of one item, -1 where a score is not a number, and how sure the model is. */
fun classOf(spec: ScoredClasses, scores: FloatArray): Pair<Int, Double> {
    val values = DoubleArray(scores.size) { scores[it].toDouble() }
    if (values.any { it.isNaN() || it.isInfinite() }) return Pair(-1, Double.NaN)
    if (spec.threshold != null) {
        val share = if (spec.activation == "") values[0] else 1 / (1 + Math.exp(-values[0]))
        return Pair(if (values[0] > spec.threshold) 1 else 0, Math.max(share, 1 - share))
    }
    var best = 0
    for (k in values.indices) if (values[k] > values[best]) best = k
    if (spec.activation == "") return Pair(best, values[best])
    var sum = 0.0
    for (value in values) sum += Math.exp(value - values[best])
    return Pair(best, 1 / sum)
}

// Buckets of latency between a time and the double of it, as HdrHistogram has them.
private const val STEPS = 16

/** Return the number of the bucket of latency that a time in nanoseconds falls into. */
fun bucket(nanoseconds: Long): Int {
    var value = Math.max(0L, nanoseconds)
    var doublings = 0
    while (value >= 2 * STEPS) {
        value = value shr 1
        doublings++
    }
    return doublings * STEPS + value.toInt()
}

/** What is counted of one feature. */
private class Counts(val edges: DoubleArray) {
    private val counts = LongArray(edges.size + 1)
    private var nan = 0L
    private var sum = 0.0
    private var least = Double.POSITIVE_INFINITY
    private var largest = Double.NEGATIVE_INFINITY

    fun add(value: Double) {
        if (value.isNaN() || value.isInfinite()) {
            nan++
            return
        }
        var bin = 0
        while (bin < edges.size && edges[bin] < value) bin++
        counts[bin]++
        sum += value
        least = Math.min(least, value)
        largest = Math.max(largest, value)
    }

    fun facts(): String {
        val n = counts.sum()
        val ends = if (n > 0) "\"min\":$least,\"max\":$largest" else "\"min\":null,\"max\":null"
        return "{\"counts\":[${counts.joinToString(",")}],\"n\":$n,\"nan\":$nan,\"sum\":$sum,$ends}"
    }
}

/** What is counted of the items of a window. */
private class Window(val began: Long) {
    var items = 0L
    var errors = 0L
    var unrecorded = 0L
    private var longest = 0L
    private val counts = MonitoringSpec.features.associate { it.name to Counts(it.edges) }
    private val classes = TreeMap<Int, Long>()
    private val latency = TreeMap<Int, Long>()

    fun add(inputs: Map<String, FloatArray>, outputs: Map<String, FloatArray>, nanoseconds: Long) {
        val found = ArrayList<Pair<String, Double>>()
        for (tensor in MonitoringSpec.tensors) {
            val values = (if (tensor.isInput) inputs else outputs)[tensor.name] ?: continue
            val own = features(tensor, values)
            for (k in own.indices) found.add(Pair(tensor.features[k], own[k]))
        }
        val scores = MonitoringSpec.classes?.let { outputs[it.output] }
        if (scores != null) {
            val (best, sure) = classOf(MonitoringSpec.classes!!, scores)
            found.add(Pair(MonitoringSpec.classes!!.feature, sure))
            if (best >= 0) classes[best] = (classes[best] ?: 0) + 1
        }
        for ((name, value) in found) counts.getValue(name).add(value)
        val number = bucket(nanoseconds)
        latency[number] = (latency[number] ?: 0) + 1
        longest = Math.max(longest, nanoseconds)
        items++
    }

    fun facts(device: String, ended: Long): String {
        val features = counts.entries.joinToString(",") { "${quoted(it.key)}:${it.value.facts()}" }
        return "{\"schema_version\":1,\"golden\":${quoted(MonitoringSpec.digest)}," +
            "\"name\":${quoted(MonitoringSpec.name)},\"version\":${quoted(MonitoringSpec.version)}," +
            "\"device\":${quoted(device)}," +
            "\"began\":${quoted(moment(began))},\"ended\":${quoted(moment(ended))}," +
            "\"n\":$items,\"errors\":$errors,\"unrecorded\":$unrecorded," +
            "\"latency\":{\"n\":${latency.values.sum()},\"max_ns\":$longest," +
            "\"buckets\":${table(latency)}},\"classes\":${table(classes)},\"features\":{$features}}"
    }
}

/**
 * Writes a record a window, of so many items or so many seconds, whichever ends first.
 *
 * `folder` holds records.jsonl and older files of it, bounded in all. Nothing here fails the app:
 * a window that cannot be written stays open until it can. Threads may share a recorder. `raw` keeps
 * a sample of items beside the records, none unless it is given; it costs no count.
 */
class Recorder(
    private val folder: File,
    private val device: String,
    private val items: Long = 1000,
    private val seconds: Long = 3600,
    private val mostBytes: Long = 8L shl 20,
    private val clock: () -> Long = System::currentTimeMillis,
    private val raw: RawItems? = null
) {
    private var window = Window(clock())

    /** Why the newest window could not be written yet; empty where it was. */
    var problem = ""
        private set

    /** Count one item: its raw inputs and its outputs by name, and what it took. */
    @Synchronized
    fun add(inputs: Map<String, FloatArray>, outputs: Map<String, FloatArray>, nanoseconds: Long) {
        try {
            window.add(inputs, outputs, nanoseconds)
        } catch (error: RuntimeException) {
            problem = "an item could not be counted: $error"
            window.unrecorded++
        }
        raw?.add(inputs, outputs, clock())
        end(false)
    }

    /** Count an item that the app could not answer. */
    @Synchronized
    fun error() {
        window.errors++
        end(false)
    }

    /** Write the window that is open, if it counted anything. */
    @Synchronized
    fun close() = end(true)

    private fun end(force: Boolean) {
        val seen = window.items + window.errors + window.unrecorded
        val now = clock()
        val due = force || seen >= items || now - window.began >= 1000 * seconds
        if (!due || seen == 0L || MonitoringSpec.digest.isEmpty()) return
        try {
            append(folder, window.facts(device, now) + "\n", mostBytes)
        } catch (error: IOException) {
            problem = "$folder: $error"
            return
        }
        problem = ""
        window = Window(now)
        // After the counts: where the disk takes one of both alone, it is those.
        try {
            raw?.write(folder, device, now)
        } catch (error: IOException) {
            problem = "$folder: $error"
        }
    }
}

// Older files that are kept beside records.jsonl; records-1.jsonl is the newest of them.
private const val OLDER = 3

/** Append a whole line to the records of a folder, or nothing. */
private fun append(folder: File, line: String, mostBytes: Long) {
    folder.mkdirs()
    val path = File(folder, "records.jsonl")
    val content = line.toByteArray()
    if (path.length() + content.size > mostBytes) rotate(folder)
    RandomAccessFile(path, "rw").use { file ->
        val size = file.length()
        try {
            file.seek(Math.max(0, size - 1))
            // An app that was killed may have left half a line.
            val whole = size == 0L || file.read() == '\n'.toInt()
            file.seek(size)
            file.write(if (whole) content else byteArrayOf('\n'.toByte()) + content)
        } catch (error: IOException) {
            file.setLength(size)
            throw error
        }
    }
}

private fun rotate(folder: File) {
    fun older(number: Int) = File(folder, if (number == 0) "records.jsonl" else "records-$number.jsonl")
    older(OLDER).delete()
    for (number in OLDER downTo 1) older(number - 1).renameTo(older(number))
}

private fun table(counts: Map<Int, Long>) =
    counts.entries.joinToString(",", "{", "}") { "\"${it.key}\":${it.value}" }

internal fun quoted(text: String): String {
    val plain = StringBuilder("\"")
    for (character in text) {
        when {
            character == '"' || character == '\\' -> plain.append('\\').append(character)
            character < ' ' -> plain.append(String.format("\\u%04x", character.toInt()))
            else -> plain.append(character)
        }
    }
    return plain.append('"').toString()
}

internal fun moment(milliseconds: Long): String {
    val form = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'Z'", Locale.ROOT)
    form.timeZone = TimeZone.getTimeZone("UTC")
    return form.format(Date(milliseconds))
}
