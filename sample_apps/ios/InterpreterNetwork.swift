// The model in TensorFlow Lite's interpreter, from the resource bundle. CocoaPods brings it.
import Foundation
import TensorFlowLite

public final class InterpreterNetwork: Network {
    private let interpreter: Interpreter

    public var runtime: String { return "TensorFlow Lite \(TensorFlowLite.Runtime.version)" }

    public init(modelPath: String, threads: Int = 1) throws {
        var options = Interpreter.Options()
        options.threadCount = threads
        interpreter = try Interpreter(modelPath: modelPath, options: options)
        try interpreter.allocateTensors()
    }

    public func run(_ inputs: [String: Data]) throws -> [String: Data] {
        for (name, place) in GoldenPairs.inputPlaces {
            guard let data = inputs[name] else { throw ModelError.missing(name) }
            _ = try interpreter.copy(data, toInputAt: place)
        }
        try interpreter.invoke()
        return try GoldenPairs.outputPlaces.mapValues { try interpreter.output(at: $0).data }
    }
}
