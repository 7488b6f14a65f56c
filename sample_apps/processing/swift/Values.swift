// Rescale and quantize inputs, dequantize outputs, scores and the best of them.
import Foundation

public enum DType {
    case uint8, int8, int16, int32, float32

    public var bytes: Int {
        switch self {
        case .uint8, .int8: return 1
        case .int16: return 2
        case .int32, .float32: return 4
        }
    }

    var limits: (low: Float, high: Float) {
        switch self {
        case .uint8: return (0, 255)
        case .int8: return (-128, 127)
        case .int16: return (-32768, 32767)
        // The largest Float below 2^31.
        case .int32: return (-2147483648, 2147483520)
        case .float32: return (-Float.infinity, Float.infinity)
        }
    }
}

public enum Activation { case none, softmax, sigmoid }

public enum PictureColor { case rgb, bgr, grayscale }

public enum PictureMethod { case nearest, area, bilinear, hamming, bicubic, lanczos }

/// The pixels that an input takes; with `crop` the centre is cut, else the picture is stretched.
public struct PictureSpec {
    public let height: Int
    public let width: Int
    public let color: PictureColor
    public let method: PictureMethod
    public let crop: Bool
    public let channelsFirst: Bool
    /// Whether the model was measured on pictures; else whether pixels are 0 to 255 is open.
    public let measured: Bool
}

/// An input of one item: raw * factor + offset, quantized where scale is not 0.
public struct InputSpec {
    public let name: String
    public let shape: [Int]
    public let dtype: DType
    public let scale: Float
    public let zeroPoint: Int
    /// Value i has the factor and the offset of number i / channelStride % factors.count.
    public let factors: [Float]
    public let offsets: [Float]
    public let channelStride: Int
    public let picture: PictureSpec?

    public var size: Int { return shape.reduce(1, *) }
}

/// An output of one item: (value - zeroPoint) * scale where scale is not 0.
public struct OutputSpec {
    public let name: String
    public let shape: [Int]
    public let dtype: DType
    public let scale: Float
    public let zeroPoint: Int
    /// What makes scores of it.
    public let activation: Activation

    public var size: Int { return shape.reduce(1, *) }
}

/// What is carried on: zeros at first, then what the output gave at the last inference.
public struct StateSpec {
    public let input: InputSpec
    public let output: OutputSpec
}

private func append(_ value: Float, as dtype: DType, to data: inout Data) {
    func add<T>(_ number: T) {
        withUnsafeBytes(of: number) { data.append(contentsOf: $0) }
    }
    if dtype == .float32 {
        add(value)
        return
    }
    let limits = dtype.limits
    // NaN becomes the lowest value.
    let inside = value > limits.low ? min(value, limits.high) : limits.low
    switch dtype {
    case .uint8: add(UInt8(inside))
    case .int8: add(Int8(inside))
    case .int16: add(Int16(inside))
    default: add(Int32(inside))
    }
}

/// Turn the raw values of one item into what the model's input holds.
public func encode(_ input: InputSpec, _ raw: [Float]) -> Data {
    var data = Data(capacity: raw.count * input.dtype.bytes)
    for (at, value) in raw.enumerated() {
        let channel = at / input.channelStride % input.factors.count
        let product = value * input.factors[channel]
        var real = product + input.offsets[channel]
        if input.scale != 0 {
            real = (real / input.scale).rounded(.toNearestOrEven) + Float(input.zeroPoint)
        }
        append(real, as: input.dtype, to: &data)
    }
    return data
}

/// Turn pixels, bytes of 0 to 255, into what the model's input holds.
public func encode(_ input: InputSpec, pixels: [UInt8]) -> Data {
    return encode(input, pixels.map { Float($0) })
}

/// Turn what the model's output holds into real numbers.
public func decode(_ output: OutputSpec, _ data: Data) -> [Float] {
    func numbers<T>(_ type: T.Type) -> [T] {
        return (0..<data.count / output.dtype.bytes).map { at in
            data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at * output.dtype.bytes, as: type) }
        }
    }
    let values: [Float]
    switch output.dtype {
    case .uint8: values = numbers(UInt8.self).map { Float($0) }
    case .int8: values = numbers(Int8.self).map { Float($0) }
    case .int16: values = numbers(Int16.self).map { Float($0) }
    case .int32: values = numbers(Int32.self).map { Float($0) }
    case .float32: values = numbers(Float.self)
    }
    if output.scale == 0 { return values }
    return values.map { ($0 - Float(output.zeroPoint)) * output.scale }
}

/// Return values as shares of 1, by their exponentials.
public func softmax(_ values: [Float]) -> [Float] {
    let largest = Double(values.max() ?? 0)
    let powers = values.map { exp(Double($0) - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { Float($0 / sum) }
}

/// Return each value between 0 and 1, by the logistic function.
public func sigmoid(_ values: [Float]) -> [Float] {
    return values.map { Float(1 / (1 + exp(-Double($0)))) }
}

/// Apply what makes scores of an output.
public func activate(_ activation: Activation, _ values: [Float]) -> [Float] {
    switch activation {
    case .softmax: return softmax(values)
    case .sigmoid: return sigmoid(values)
    case .none: return values
    }
}

/// Return the places of the best scores, best first: of equal ones the first, NaN last.
public func top(_ scores: [Float], limit: Int) -> [Int] {
    let order = scores.indices.sorted { i, j in
        let a = scores[i]
        let b = scores[j]
        if a.isNaN || b.isNaN { return a.isNaN == b.isNaN ? i < j : b.isNaN }
        return a == b ? i < j : a > b
    }
    return Array(order.prefix(limit))
}
