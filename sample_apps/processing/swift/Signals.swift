// Log-mel features and MFCC of a signal, by the rule of tf.signal.
import Foundation

public struct SignalSpec {
    public let rate: Int
    public let window: Int
    public let stride: Int
    public let fft: Int
    public let mels: Int
    public let low: Double
    public let high: Double
    /// How many MFCC; 0: log-mel features.
    public let coefficients: Int
    public let power: Int
    public let floor: Double

    public var features: Int { return coefficients == 0 ? mels : coefficients }
}

private func melOf(_ hertz: Double) -> Double {
    return 1127 * log1p(hertz / 700)
}

/// The discrete Fourier transform, in place; the length is a power of two.
private func transform(_ re: inout [Double], _ im: inout [Double]) {
    let n = re.count
    var mirrored = 0
    for at in 1..<n {
        var bit = n >> 1
        while mirrored & bit != 0 {
            mirrored ^= bit
            bit >>= 1
        }
        mirrored |= bit
        if at < mirrored {
            re.swapAt(at, mirrored)
            im.swapAt(at, mirrored)
        }
    }
    var half = 1
    while half < n {
        for k in 0..<half {
            let angle = Double.pi * Double(k) / Double(half)
            let (cosine, sine) = (cos(angle), -sin(angle))
            for a in stride(from: k, to: n, by: 2 * half) {
                let b = a + half
                let x = cosine * re[b] - sine * im[b]
                let y = cosine * im[b] + sine * re[b]
                re[b] = re[a] - x
                im[b] = im[a] - y
                re[a] += x
                im[a] += y
            }
        }
        half *= 2
    }
}

/// The sums of the spectrum in the triangular mel bands; the mean is in none.
private func melBands(_ signal: SignalSpec, _ re: [Double], _ im: [Double]) -> [Double] {
    var bands = [Double](repeating: 0, count: signal.mels)
    let low = melOf(signal.low)
    let step = (melOf(signal.high) - low) / Double(signal.mels + 1)
    for bin in 1...signal.fft / 2 {
        let hertz = Double(bin) * Double(signal.rate) / Double(signal.fft)
        let position = (melOf(hertz) - low) / step
        if position < 0 || position >= Double(signal.mels + 1) { continue }
        let rising = Int(position)
        let share = position - Double(rising)
        let squared = re[bin] * re[bin] + im[bin] * im[bin]
        let energy = signal.power == 1 ? squared.squareRoot() : squared
        if rising < signal.mels { bands[rising] += share * energy }
        if rising > 0 { bands[rising - 1] += (1 - share) * energy }
    }
    return bands
}

/// Return the features of one window of samples, from `start` on: log-mel, or MFCC.
public func frameFeatures(_ signal: SignalSpec, _ samples: [Float], start: Int = 0) -> [Float] {
    var re = [Double](repeating: 0, count: signal.fft)
    var im = re
    for at in 0..<signal.window {
        let angle = 2 * Double.pi * Double(at) / Double(signal.window)
        re[at] = Double(samples[start + at]) * (0.5 - 0.5 * cos(angle))
    }
    transform(&re, &im)
    let bands = melBands(signal, re, im).map { log($0 + signal.floor) }
    if signal.coefficients == 0 { return bands.map { Float($0) } }
    // The cosine transform of type II.
    return (0..<signal.coefficients).map { k in
        var sum = 0.0
        for (m, band) in bands.enumerated() {
            sum += band * cos(Double.pi * Double(k * (2 * m + 1)) / Double(2 * signal.mels))
        }
        return Float(sum * (2 / Double(signal.mels)).squareRoot())
    }
}

/// Return the features of every whole window, one after the other: [frames, features], flat.
public func features(_ signal: SignalSpec, _ samples: [Float]) -> [Float] {
    var frames: [Float] = []
    for start in stride(from: 0, through: samples.count - signal.window, by: signal.stride) {
        frames += frameFeatures(signal, samples, start: start)
    }
    return frames
}
