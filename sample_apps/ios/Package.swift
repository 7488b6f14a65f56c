// swift-tools-version:5.7
import PackageDescription

// TensorFlow Lite has no Swift package: a Network of your own runs the model here, and the pod
// beside this file brings the interpreter.
let package = Package(
    name: "@MODULE@",
    platforms: [.iOS(.v14)],
    products: [.library(name: "@MODULE@", targets: ["@MODULE@"])],
    targets: [
        .target(
            name: "@MODULE@",
            path: ".",
            sources: ["Sources"],
            resources: [.copy("Resources/model.tflite"), .copy("golden")]
        )
    ]
)
