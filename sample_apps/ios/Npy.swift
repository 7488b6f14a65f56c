// Files of numpy arrays, as real numbers.
import Foundation

/// An array: its shape, and its values in the order of C.
public struct Npy {
    public let shape: [Int]
    public let values: [Float]

    /// Return the values of one item, the first dimension being the items.
    public func item(_ at: Int) -> [Float] {
        let size = values.count / shape[0]
        return Array(values[at * size ..< (at + 1) * size])
    }
}

public struct NpyError: Error {
    public let reason: String
}

private func between(_ start: String, _ end: String, in text: String) -> String? {
    guard let from = text.range(of: start) else { return nil }
    guard let until = text.range(of: end, range: from.upperBound ..< text.endIndex) else { return nil }
    return String(text[from.upperBound ..< until.lowerBound])
}

/// Read an array. Source: "NEP 1: A Simple File Format for NumPy Arrays".
public func readNpy(_ file: Data) throws -> Npy {
    let bytes = [UInt8](file)
    guard bytes.count > 12, bytes[1] == 78 else { throw NpyError(reason: "not a .npy file") }
    let long = bytes[6] > 1
    var size = Int(bytes[8]) | Int(bytes[9]) << 8
    if long { size |= Int(bytes[10]) << 16 | Int(bytes[11]) << 24 }
    let start = (long ? 12 : 10) + size
    guard start <= bytes.count else { throw NpyError(reason: "the .npy file is cut") }
    let header = String(decoding: bytes[(long ? 12 : 10) ..< start], as: UTF8.self)
    guard let shape = between("'shape': (", ")", in: header),
        let dtype = between("'descr': '", "'", in: header)
    else { throw NpyError(reason: "no array of numbers: \(header)") }
    let sizes = shape.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    let values = try reals(Data(bytes[start...]), dtype)
    guard values.count == sizes.reduce(1, *) else { throw NpyError(reason: "the .npy file is cut") }
    return Npy(shape: sizes, values: values)
}

private func reals(_ content: Data, _ dtype: String) throws -> [Float] {
    func numbers<T>(_ type: T.Type) -> [T] {
        let size = MemoryLayout<T>.size
        return (0 ..< content.count / size).map { at in
            content.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at * size, as: type) }
        }
    }
    switch dtype.dropFirst() {
    case "f4": return numbers(Float.self)
    case "f8": return numbers(Double.self).map { Float($0) }
    case "u1", "b1": return numbers(UInt8.self).map { Float($0) }
    case "i1": return numbers(Int8.self).map { Float($0) }
    case "i2": return numbers(Int16.self).map { Float($0) }
    case "u2": return numbers(UInt16.self).map { Float($0) }
    case "i4": return numbers(Int32.self).map { Float($0) }
    case "i8": return numbers(Int64.self).map { Float($0) }
    default: throw NpyError(reason: "values of type \(dtype) are not read")
    }
}
