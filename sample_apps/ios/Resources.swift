// Where the package has its model and its golden pairs.
import Foundation

private final class Here {}

public enum Resources {
    static var bundle: Bundle {
        #if SWIFT_PACKAGE
            return Bundle.module
        #else
            let own = Bundle(for: Here.self)
            let named = own.url(forResource: "@MODULE@", withExtension: "bundle")
            return named.flatMap { Bundle(url: $0) } ?? own
        #endif
    }

    /// The model's file.
    public static var model: URL? { return bundle.url(forResource: "model", withExtension: "tflite") }

    /// Read a golden file by its name.
    public static func golden(_ name: String) throws -> Data {
        let found = bundle.url(forResource: name, withExtension: nil, subdirectory: "golden")
        guard let file = found ?? bundle.url(forResource: name, withExtension: nil) else {
            throw NpyError(reason: "the resource bundle has no \(name)")
        }
        return try Data(contentsOf: file)
    }
}
