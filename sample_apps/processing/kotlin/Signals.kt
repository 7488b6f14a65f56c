// Log-mel features and MFCC of a signal, by the rule of tf.signal.
package edgekit

import kotlin.math.cos
import kotlin.math.ln
import kotlin.math.ln1p
import kotlin.math.sin
import kotlin.math.sqrt

class SignalSpec(
    val rate: Int,
    val window: Int,
    val stride: Int,
    val fft: Int,
    val mels: Int,
    val low: Double,
    val high: Double,
    /** How many MFCC; 0: log-mel features. */
    val coefficients: Int,
    val power: Int,
    val floor: Double
) {
    val features: Int get() = if (coefficients == 0) mels else coefficients
}

private fun melOf(hertz: Double): Double = 1127 * ln1p(hertz / 700)

private fun swap(values: DoubleArray, a: Int, b: Int) {
    val kept = values[a]
    values[a] = values[b]
    values[b] = kept
}

/** The discrete Fourier transform, in place; the length is a power of two. */
private fun transform(re: DoubleArray, im: DoubleArray) {
    val n = re.size
    var mirrored = 0
    for (at in 1 until n) {
        var bit = n shr 1
        while (mirrored and bit != 0) {
            mirrored = mirrored xor bit
            bit = bit shr 1
        }
        mirrored = mirrored or bit
        if (at < mirrored) {
            swap(re, at, mirrored)
            swap(im, at, mirrored)
        }
    }
    var half = 1
    while (half < n) {
        for (k in 0 until half) {
            val cosine = cos(Math.PI * k / half)
            val sine = -sin(Math.PI * k / half)
            for (a in k until n step 2 * half) {
                val b = a + half
                val x = cosine * re[b] - sine * im[b]
                val y = cosine * im[b] + sine * re[b]
                re[b] = re[a] - x
                im[b] = im[a] - y
                re[a] += x
                im[a] += y
            }
        }
        half *= 2
    }
}

/** The sums of the spectrum in the triangular mel bands; the mean is in none. */
private fun melBands(signal: SignalSpec, re: DoubleArray, im: DoubleArray): DoubleArray {
    val bands = DoubleArray(signal.mels)
    val low = melOf(signal.low)
    val step = (melOf(signal.high) - low) / (signal.mels + 1)
    for (bin in 1..signal.fft / 2) {
        val position = (melOf(bin.toDouble() * signal.rate / signal.fft) - low) / step
        if (position < 0 || position >= signal.mels + 1) continue
        val rising = position.toInt()
        val squared = re[bin] * re[bin] + im[bin] * im[bin]
        val energy = if (signal.power == 1) sqrt(squared) else squared
        if (rising < signal.mels) bands[rising] += (position - rising) * energy
        if (rising > 0) bands[rising - 1] += (1 - position + rising) * energy
    }
    return bands
}

/** Return the features of one window of samples, from `start` on: log-mel, or MFCC. */
fun frameFeatures(signal: SignalSpec, samples: FloatArray, start: Int = 0): FloatArray {
    val re = DoubleArray(signal.fft)
    val im = DoubleArray(signal.fft)
    for (at in 0 until signal.window) {
        re[at] = samples[start + at] * (0.5 - 0.5 * cos(2 * Math.PI * at / signal.window))
    }
    transform(re, im)
    val bands = melBands(signal, re, im)
    for (at in bands.indices) bands[at] = ln(bands[at] + signal.floor)
    if (signal.coefficients == 0) return FloatArray(bands.size) { bands[it].toFloat() }
    // The cosine transform of type II.
    return FloatArray(signal.coefficients) { k ->
        var sum = 0.0
        for (m in bands.indices) sum += bands[m] * cos(Math.PI * k * (2 * m + 1) / (2 * signal.mels))
        (sum * sqrt(2.0 / signal.mels)).toFloat()
    }
}

/** Return the features of every whole window, one after the other: [frames, features], flat. */
fun features(signal: SignalSpec, samples: FloatArray): FloatArray {
    val frames = mutableListOf<Float>()
    for (start in 0..samples.size - signal.window step signal.stride) {
        frames.addAll(frameFeatures(signal, samples, start).asList())
    }
    return frames.toFloatArray()
}
