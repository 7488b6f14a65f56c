// Colours, size and layout of a picture: to the bit what Pillow's resize gives.
//
// Every pixel of the result is a weighted sum of the source's pixels that the filter covers. The
// filter widens with the reduction, so pictures are antialiased. Weights are whole numbers of
// 2^-22, and each of the two passes, horizontal then vertical, rounds to 8 bits.
import Foundation

private let weightBits = 22

private func sinc(_ x: Double) -> Double {
    return x == 0 ? 1 : sin(x * Double.pi) / (x * Double.pi)
}

private func bicubic(_ x: Double) -> Double {
    if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
}

extension PictureMethod {
    /// How many pixels the filter covers to either side.
    fileprivate var support: Double {
        switch self {
        case .nearest: return 0
        case .area: return 0.5
        case .bilinear, .hamming: return 1
        case .bicubic: return 2
        case .lanczos: return 3
        }
    }

    fileprivate func filter(_ x: Double) -> Double {
        switch self {
        case .area: return x > -0.5 && x <= 0.5 ? 1 : 0
        case .bilinear: return max(0, 1 - abs(x))
        case .hamming: return abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * cos(x * Double.pi)) : 0
        case .lanczos: return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0
        case .bicubic, .nearest: return bicubic(abs(x))
        }
    }
}

/// The first source pixel of a pixel, and the weights from there on.
private struct Weights {
    let first: Int
    let taps: [Int32]

    init(first: Int, taps: [Int32] = [1 << Int32(weightBits)]) {
        self.first = first
        self.taps = taps
    }
}

/// A side of the picture: `from` pixels are scaled to `to`, and `start` is where the cut begins.
private struct Side {
    let from: Int
    let to: Int
    let start: Int

    /// Stretched, or scaled by `factor` and cut in the centre.
    init(from: Int, size: Int, factor: Double?) {
        self.from = from
        if let factor = factor {
            to = max(size, Int((Double(from) * factor).rounded(.toNearestOrEven)))
        } else {
            to = size
        }
        start = (to - size) / 2
    }

    /// The source pixels of nearest: the step is added, because a product rounds otherwise.
    func nearest() -> [Weights] {
        let step = Double(from) / Double(to)
        var position = step * 0.5
        return (0..<to).map { _ -> Weights in
            defer { position += step }
            return Weights(first: Int(position))
        }
    }

    func weigh(_ method: PictureMethod, _ at: Int) -> Weights {
        let scale = Double(from) / Double(to)
        let factor = max(1, scale)
        let support = method.support * factor
        let center = (Double(at) + 0.5) * scale
        let inverse = 1 / factor
        let first = max(0, Int(center - support + 0.5))
        let last = min(from, Int(center + support + 0.5))
        let values = (first..<last).map { method.filter((Double($0) - center + 0.5) * inverse) }
        let sum = values.reduce(0, +)
        let taps = values.map { value -> Int32 in
            let weight = (sum == 0 ? value : value / sum) * Double(1 << weightBits)
            return Int32(weight < 0 ? weight - 0.5 : weight + 0.5)
        }
        return Weights(first: first, taps: taps)
    }

    /// The weights of `count` pixels from the start of the cut on.
    func weights(_ method: PictureMethod, count: Int) -> [Weights] {
        if from == to { return (0..<count).map { Weights(first: start + $0) } }
        if method == .nearest { return Array(nearest()[start..<start + count]) }
        return (0..<count).map { weigh(method, start + $0) }
    }
}

private func rounded(_ sum: Int32) -> UInt8 {
    let half: Int32 = 1 << Int32(weightBits - 1)
    let value = (sum + half) >> Int32(weightBits)
    return UInt8(min(255, max(0, value)))
}

/// A picture in one channel, or in three as RGB; gray is ITU-R 601-2 in whole numbers.
private func colored(_ source: [UInt8], channels: Int, wanted: Int) -> [UInt8] {
    var pixels: [UInt8] = []
    pixels.reserveCapacity(source.count / channels * wanted)
    for at in stride(from: 0, to: source.count, by: channels) {
        if wanted == 3 {
            for c in 0..<3 { pixels.append(source[channels == 1 ? at : at + c]) }
        } else if channels == 1 {
            pixels.append(source[at])
        } else {
            let (red, green, blue) = (Int(source[at]), Int(source[at + 1]), Int(source[at + 2]))
            pixels.append(UInt8((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16))
        }
    }
    return pixels
}

/// Fit a picture, bytes [height, width, channels] of 1 (gray), 3 (RGB) or 4 (RGBA; alpha is
/// dropped) channels, into the pixels that the model takes.
public func fit(
    _ picture: PictureSpec, _ source: [UInt8], height: Int, width: Int, channels: Int
) -> [UInt8] {
    precondition([1, 3, 4].contains(channels) && source.count == height * width * channels)
    let wanted = picture.color == .grayscale ? 1 : 3
    let pixels = colored(source, channels: channels, wanted: wanted)
    let tall = Double(picture.height) / Double(height)
    let wide = Double(picture.width) / Double(width)
    let factor = picture.crop ? max(tall, wide) : nil
    let rows = Side(from: height, size: picture.height, factor: factor)
    let columns = Side(from: width, size: picture.width, factor: factor)
    var across = [UInt8](repeating: 0, count: height * picture.width * wanted)
    for (x, weights) in columns.weights(picture.method, count: picture.width).enumerated() {
        for y in 0..<height {
            for c in 0..<wanted {
                var sum: Int32 = 0
                for (k, tap) in weights.taps.enumerated() {
                    sum += tap * Int32(pixels[(y * width + weights.first + k) * wanted + c])
                }
                across[(y * picture.width + x) * wanted + c] = rounded(sum)
            }
        }
    }
    return down(picture, rows.weights(picture.method, count: picture.height), across, wanted)
}

/// The vertical pass, into the model's order of colours and its layout.
private func down(
    _ picture: PictureSpec, _ rows: [Weights], _ across: [UInt8], _ wanted: Int
) -> [UInt8] {
    let width = picture.width
    var pixels = [UInt8](repeating: 0, count: picture.height * width * wanted)
    for (y, weights) in rows.enumerated() {
        for x in 0..<width {
            for c in 0..<wanted {
                var sum: Int32 = 0
                for (k, tap) in weights.taps.enumerated() {
                    sum += tap * Int32(across[((weights.first + k) * width + x) * wanted + c])
                }
                let channel = picture.color == .bgr ? 2 - c : c
                let place = picture.channelsFirst
                    ? (channel * picture.height + y) * width + x
                    : (y * width + x) * wanted + channel
                pixels[place] = rounded(sum)
            }
        }
    }
    return pixels
}
