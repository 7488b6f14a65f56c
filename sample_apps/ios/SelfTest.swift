// The golden pairs: raw items, and the outputs that the model gave where the bundle was made.
import Foundation

/// A golden output: its file, and by how much the values of another runtime may differ.
public struct GoldenOutput {
    let name: String
    let file: String
    let tolerance: Float
}

/// What the self-test saw: the runtime, and every difference that is too large.
public struct SelfTestReport: CustomStringConvertible {
    public let runtime: String
    public let items: Int
    public let problems: [String]

    public var passed: Bool { return items > 0 && problems.isEmpty }

    public var description: String {
        let first = "self-test \(passed ? "passed" : "FAILED") on \(runtime), \(items) golden items"
        return ([first] + problems).joined(separator: "\n")
    }
}

/// Run the model on every golden item; `open` reads a golden file by its name.
public func selfTest(_ model: Model, open: (String) throws -> Data) throws -> SelfTestReport {
    let inputs = try GoldenPairs.inputs.mapValues { try readNpy(open($0)) }
    var expected: [String: Npy] = [:]
    var largest: [String: Float] = [:]
    for golden in GoldenPairs.outputs {
        expected[golden.name] = try readNpy(open(golden.file))
    }
    let items = inputs.values.first?.shape[0] ?? 0
    for item in 0 ..< items {
        if GoldenPairs.streams.isEmpty || GoldenPairs.streams.contains(item) { try model.begin() }
        let outputs = try model.outputs(inputs.mapValues { $0.item(item) })
        for golden in GoldenPairs.outputs {
            let seen = difference(outputs[golden.name] ?? [], expected[golden.name]?.item(item) ?? [])
            largest[golden.name] = max(largest[golden.name] ?? 0, seen)
        }
    }
    var problems: [String] = []
    for golden in GoldenPairs.outputs {
        let seen = largest[golden.name] ?? .infinity
        if seen > golden.tolerance {
            problems.append("output \(golden.name) differs by \(seen), tolerance \(golden.tolerance)")
        }
    }
    problems += misnamed(expected)
    return SelfTestReport(runtime: model.runtime, items: items, problems: problems)
}

/// Return the largest difference; a value that is not a number, or is missing, differs from all.
private func difference(_ seen: [Float], _ must: [Float]) -> Float {
    guard seen.count == must.count else { return .infinity }
    var largest: Float = 0
    for (one, other) in zip(seen, must) {
        let difference = abs(one - other)
        largest = difference.isNaN ? .infinity : max(largest, difference)
    }
    return largest
}

/// Return the golden items that the labels call otherwise than the bundle's maker did.
private func misnamed(_ expected: [String: Npy]) -> [String] {
    guard let name = ModelSpec.answers, let scores = expected[name] else { return [] }
    var problems: [String] = []
    for (item, answer) in GoldenPairs.answers.enumerated() {
        let called = label(top(scores.item(item), limit: 1)[0])
        if called != answer {
            problems.append("golden item \(item) is \(answer), and would be called \(called)")
        }
    }
    return problems
}
