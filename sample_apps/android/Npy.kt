// Files of numpy arrays, as real numbers.
package edgekit

import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** An array: its shape, and its values in the order of C. */
class Npy(val shape: IntArray, val values: FloatArray) {
    /** The values of one item, the first dimension being the items. */
    fun item(at: Int): FloatArray {
        val size = values.size / shape[0]
        return values.copyOfRange(at * size, (at + 1) * size)
    }
}

private val SHAPE = Regex("'shape': \\(([0-9, ]*)\\)")
private val DTYPE = Regex("'descr': '([<|][a-z][0-9])'")

/**
 * Read an array. Throws IOException for a file that is not one.
 *
 * Source: "NEP 1: A Simple File Format for NumPy Arrays".
 */
fun readNpy(stream: InputStream): Npy {
    val bytes = ByteBuffer.wrap(stream.readBytes()).order(ByteOrder.LITTLE_ENDIAN)
    if (bytes.limit() < 12 || bytes.get(1) != 78.toByte()) throw IOException("not a .npy file")
    val long = bytes.get(6) > 1
    val size = if (long) bytes.getInt(8) else bytes.getShort(8).toInt() and 0xFFFF
    val start = if (long) 12 else 10
    if (size < 0 || start + size > bytes.limit()) throw IOException("the .npy file is cut")
    val header = String(bytes.array(), start, size, Charsets.ISO_8859_1)
    val shape = SHAPE.find(header)?.groupValues?.get(1) ?: throw IOException("no shape: $header")
    val dtype = DTYPE.find(header)?.groupValues?.get(1) ?: throw IOException("no numbers: $header")
    bytes.position(start + size)
    val read = reader(dtype, bytes)
    val sizes = shape.split(',').filter { it.isNotBlank() }.map { it.trim().toInt() }.toIntArray()
    val count = sizes.fold(1) { product, length -> product * length }
    return Npy(sizes, FloatArray(count) { read() })
}

private fun reader(dtype: String, bytes: ByteBuffer): () -> Float = when (dtype.drop(1)) {
    "f4" -> { -> bytes.getFloat() }
    "f8" -> { -> bytes.getDouble().toFloat() }
    "u1", "b1" -> { -> (bytes.get().toInt() and 0xFF).toFloat() }
    "i1" -> { -> bytes.get().toFloat() }
    "i2" -> { -> bytes.getShort().toFloat() }
    "u2" -> { -> (bytes.getShort().toInt() and 0xFFFF).toFloat() }
    "i4" -> { -> bytes.getInt().toFloat() }
    "i8" -> { -> bytes.getLong().toFloat() }
    else -> throw IOException("values of type $dtype are not read")
}
