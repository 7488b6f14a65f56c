// The model in TensorFlow Lite's interpreter, from the resource bundle. CocoaPods brings it.
import Foundation
import TensorFlowLite

public final class InterpreterNetwork: Network {
    private let path: String
    private let threads: Int
    private var interpreter: Interpreter

    public var runtime: String { return "TensorFlow Lite \(TensorFlowLite.Runtime.version)" }

    public init(modelPath: String, threads: Int = 1) throws {
        path = modelPath
        self.threads = threads
        interpreter = try InterpreterNetwork.opened(modelPath, threads)
    }

    private static func opened(_ path: String, _ threads: Int) throws -> Interpreter {
        var options = Interpreter.Options()
        options.threadCount = threads
        let interpreter = try Interpreter(modelPath: path, options: options)
        try interpreter.allocateTensors()
        return interpreter
    }

    /// Open the model anew: the interpreter resets no resource variables.
    public func forget() throws {
        interpreter = try InterpreterNetwork.opened(path, threads)
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
