// The model with what happens before and after it, whatever runs its file.
import Foundation

/// What runs the model's file: inputs and outputs are by name, each of one item.
public protocol Network {
    /// The runtime's name and version.
    var runtime: String { get }

    func run(_ inputs: [String: Data]) throws -> [String: Data]

    /// Forget what the model keeps inside itself.
    func forget() throws
}

/// A class and how sure the model is of it.
public struct Answer {
    public let label: String
    public let score: Float
}

public enum ModelError: Error {
    case missing(String)
    case size(String, expected: Int, given: Int)
}

/// The model. What it carries from an inference to the next begins with `begin`.
public final class Model {
    private let network: Network
    private var carried: [String: Data]

    public var runtime: String { return network.runtime }

    public init(_ network: Network) {
        self.network = network
        carried = Model.zeros()
    }

    /// Begin a stream: states are zeros again. Without streams every item is one.
    public func begin() throws {
        carried = Model.zeros()
        if !GoldenPairs.streams.isEmpty { try network.forget() }
    }

    private static func zeros() -> [String: Data] {
        var states: [String: Data] = [:]
        for state in ModelSpec.states {
            states[state.input.name] = encode(state.input, [Float](repeating: 0, count: state.input.size))
        }
        return states
    }

    /// Return the outputs of one item as real numbers, by name, of raw inputs by name.
    public func outputs(_ raw: [String: [Float]]) throws -> [String: [Float]] {
        var inputs = carried
        for input in ModelSpec.inputs {
            guard let values = raw[input.name] else { throw ModelError.missing(input.name) }
            guard values.count == input.size else {
                throw ModelError.size(input.name, expected: input.size, given: values.count)
            }
            inputs[input.name] = encode(input, values)
        }
        let answers = try network.run(inputs)
        for state in ModelSpec.states {
            guard let data = answers[state.output.name] else { throw ModelError.missing(state.output.name) }
            carried[state.input.name] = encode(state.input, decode(state.output, data))
        }
        var reals: [String: [Float]] = [:]
        for output in ModelSpec.outputs {
            guard let data = answers[output.name] else { throw ModelError.missing(output.name) }
            reals[output.name] = decode(output, data)
        }
        return reals
    }

    /// Return the best classes of one item, best first, of the output that scores them.
    public func classify(_ raw: [String: [Float]], limit: Int = 3) throws -> [Answer] {
        let named = ModelSpec.outputs.first { $0.name == ModelSpec.answers }
        let output = named ?? ModelSpec.outputs[0]
        let scores = activate(output.activation, try outputs(raw)[output.name] ?? [])
        return top(scores, limit: limit).map { Answer(label: label($0), score: scores[$0]) }
    }
}

/// Return what a class is called; its number where it has no name.
public func label(_ number: Int) -> String {
    return number < ModelSpec.labels.count ? ModelSpec.labels[number] : "\(number)"
}
