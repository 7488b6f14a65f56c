// Keeps a sample of raw items beside the records, where the app asks for it. Runs on any JVM.
package edgekit

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val ITEMS_FILE = "items.jsonl"
private const val WARNING = "raw items of users: they may hold personal data"

// Of the bytes of a file, what its first line may take.
private const val HEAD = 4096L
private const val MASK = 0xFFFFFFFFL

/** Return the place that is drawn for an item by its number: below 2^32, no two alike. */
fun placeOf(seed: Long, number: Long): Long {
    // Spread by the golden ratio, then mixed by the finalizer of MurmurHash3 (Appleby).
    var mixed = (seed + (number and MASK) * 0x9E3779B9L) and MASK
    mixed = ((mixed xor (mixed shr 16)) * 0x85EBCA6BL) and MASK
    mixed = ((mixed xor (mixed shr 13)) * 0xC2B2AE35L) and MASK
    return mixed xor (mixed shr 16)
}

/**
 * A sample of at most so many items and so many bytes, which a recorder writes into its folder.
 *
 * Items may hold personal data: ask for it, and say so where the app tells what it collects. What
 * a start before left there is kept as items-1.jsonl. Kept are the items with the lowest places.
 */
class RawItems(
    private val items: Int = 100,
    private val mostBytes: Long = 16L shl 20,
    private val seed: Long = 0
) {
    private val kept = ArrayList<Pair<Long, String>>()
    private var below = MASK + 1
    private var bytes = HEAD
    private var seen = 0L
    private var tooLarge = 0L
    private var began = 0L
    private var started = false
    private var written = false

    internal fun add(
        inputs: Map<String, FloatArray>,
        outputs: Map<String, FloatArray>,
        now: Long
    ) {
        if (seen == 0L) began = now
        val number = seen++
        val place = placeOf(seed, number)
        if (place >= below) return
        val line = itemLine(number, inputs, outputs)
        if (HEAD + line.length > mostBytes) {
            tooLarge++
            return
        }
        val at = kept.indexOfFirst { it.first > place }
        kept.add(if (at < 0) kept.size else at, Pair(place, line))
        bytes += line.length
        while (kept.size > items || bytes > mostBytes) {
            // Nothing after it is kept either: each item has the same chance.
            val dropped = kept.removeAt(kept.size - 1)
            below = dropped.first
            bytes -= dropped.second.length
        }
    }

    /** Write the file anew, or leave it as it is. */
    internal fun write(folder: File, device: String, now: Long) {
        val path = File(folder, ITEMS_FILE)
        // Who takes the file away begins a new sample.
        if (written && !path.exists()) forget()
        if (seen == 0L) return
        if (!started) path.renameTo(File(folder, "items-1.jsonl"))
        started = true
        val part = File(folder, ".$ITEMS_FILE.part")
        try {
            FileOutputStream(part).use { file ->
                file.write(head(device, now).toByteArray())
                for ((_, line) in kept) file.write(line.toByteArray())
                file.fd.sync()
            }
            if (!part.renameTo(path)) throw IOException("$path cannot be written")
        } catch (error: IOException) {
            part.delete()
            throw error
        }
        written = true
    }

    private fun forget() {
        kept.clear()
        below = MASK + 1
        bytes = HEAD
        seen = 0
        tooLarge = 0
        written = false
    }

    private fun head(device: String, now: Long) =
        "{\"schema_version\":1,\"kind\":\"raw items\",\"warning\":${quoted(WARNING)}," +
            "\"golden\":${quoted(MonitoringSpec.digest)}," +
            "\"name\":${quoted(MonitoringSpec.name)},\"version\":${quoted(MonitoringSpec.version)}," +
            "\"device\":${quoted(device)}," +
            "\"began\":${quoted(moment(began))},\"ended\":${quoted(moment(now))}," +
            "\"most_items\":$items,\"most_bytes\":$mostBytes,\"seed\":$seed,\"below\":$below," +
            "\"seen\":$seen,\"too_large\":$tooLarge,\"kept\":${kept.size}}\n"
}

private fun itemLine(
    number: Long,
    inputs: Map<String, FloatArray>,
    outputs: Map<String, FloatArray>
): String {
    fun side(isInput: Boolean, values: Map<String, FloatArray>) =
        MonitoringSpec.tensors.filter { it.isInput == isInput && it.name in values }
            .joinToString(",") { "${quoted(it.name)}:${arrayText(it, values.getValue(it.name))}" }
    return "{\"item\":$number,\"input\":{${side(true, inputs)}},\"output\":{${side(false, outputs)}}}\n"
}

private fun arrayText(tensor: TensorFeatures, values: FloatArray): String {
    val content = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    for (value in values) content.putFloat(value)
    val shape = if (values.size == tensor.values) tensor.shape else listOf(values.size)
    return "{\"dtype\":\"float32\",\"shape\":[${shape.joinToString(",")}]," +
        "\"b64\":\"${base64(content.array())}\"}"
}

private const val DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** Return bytes in base64: java.util has it from Android 8 on, and what is older only on a device. */
private fun base64(content: ByteArray): String {
    val text = StringBuilder(content.size / 3 * 4 + 4)
    for (at in content.indices step 3) {
        val count = Math.min(3, content.size - at)
        var bits = 0
        for (k in 0 until 3) {
            bits = (bits shl 8) or (if (k < count) content[at + k].toInt() and 0xFF else 0)
        }
        for (k in 0..3) text.append(if (k <= count) DIGITS[(bits shr (18 - 6 * k)) and 63] else '=')
    }
    return text.toString()
}
