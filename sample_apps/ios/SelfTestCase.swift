import XCTest

@testable import @MODULE@

/// `pod lib lint`, or the pod's test scheme in Xcode, runs it.
final class SelfTestCase: XCTestCase {
    func testModelGivesItsGoldenOutputs() throws {
        let path = try XCTUnwrap(Resources.model?.path)
        let report = try selfTest(Model(InterpreterNetwork(modelPath: path)), open: Resources.golden)
        XCTAssertTrue(report.passed, report.description)
    }
}
