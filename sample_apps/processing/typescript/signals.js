/** Log-mel features and MFCC of a signal, by the rule of tf.signal. */
function melOf(hertz) {
    return 1127 * Math.log1p(hertz / 700);
}
/** The discrete Fourier transform, in place; the length is a power of two. */
function transform(re, im) {
    const n = re.length;
    for (let at = 1, mirrored = 0; at < n; at++) {
        let bit = n >> 1;
        for (; mirrored & bit; bit >>= 1)
            mirrored ^= bit;
        mirrored |= bit;
        if (at < mirrored) {
            [re[at], re[mirrored]] = [re[mirrored], re[at]];
            [im[at], im[mirrored]] = [im[mirrored], im[at]];
        }
    }
    for (let half = 1; half < n; half *= 2) {
        for (let k = 0; k < half; k++) {
            const cos = Math.cos((Math.PI * k) / half);
            const sin = -Math.sin((Math.PI * k) / half);
            for (let a = k; a < n; a += 2 * half) {
                const b = a + half;
                const x = cos * re[b] - sin * im[b];
                const y = cos * im[b] + sin * re[b];
                [re[b], im[b]] = [re[a] - x, im[a] - y];
                re[a] += x;
                im[a] += y;
            }
        }
    }
}
/** Return the sums of the spectrum in the triangular mel bands; the mean is in none. */
function melBands(signal, re, im) {
    const bands = new Float64Array(signal.mels);
    const low = melOf(signal.low);
    const step = (melOf(signal.high) - low) / (signal.mels + 1);
    for (let bin = 1; bin <= signal.fft / 2; bin++) {
        const position = (melOf((bin * signal.rate) / signal.fft) - low) / step;
        if (position < 0 || position >= signal.mels + 1)
            continue;
        const rising = Math.floor(position);
        const energy = Math.hypot(re[bin], im[bin]) ** signal.power;
        if (rising < signal.mels)
            bands[rising] += (position - rising) * energy;
        if (rising > 0)
            bands[rising - 1] += (1 - position + rising) * energy;
    }
    return bands;
}
/** Return the features of one window of samples: log-mel, or MFCC. */
export function frameFeatures(signal, samples) {
    const re = new Float64Array(signal.fft);
    const im = new Float64Array(signal.fft);
    for (let at = 0; at < signal.window; at++) {
        re[at] = samples[at] * (0.5 - 0.5 * Math.cos((2 * Math.PI * at) / signal.window));
    }
    transform(re, im);
    const bands = melBands(signal, re, im).map((sum) => Math.log(sum + signal.floor));
    if (signal.coefficients === 0)
        return Float32Array.from(bands);
    // The cosine transform of type II.
    return Float32Array.from({ length: signal.coefficients }, (_, k) => {
        const terms = bands.map((band, m) => band * Math.cos((Math.PI * k * (2 * m + 1)) / (2 * signal.mels)));
        return terms.reduce((a, b) => a + b, 0) * Math.sqrt(2 / signal.mels);
    });
}
/** Return the features of every whole window, one after the other: [frames, features], flat. */
export function features(signal, samples) {
    const held = Float64Array.from(samples);
    const frames = [];
    for (let at = 0; at + signal.window <= held.length; at += signal.stride) {
        frames.push(...frameFeatures(signal, held.subarray(at, at + signal.window)));
    }
    return Float32Array.from(frames);
}
