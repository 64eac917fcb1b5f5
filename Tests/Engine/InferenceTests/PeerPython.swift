import Basics
import Foundation
import Testing

/// The Python that has the peers' packages, and the scripts that ask them.
enum PeerPython {
    static let path = ProcessInfo.processInfo.environment["MLOPS_PEER_PYTHON"]

    /// Runs a script of `Tests/Fixtures/interchange`; a failure is recorded with what it printed.
    static func run(_ script: String, _ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(path))
        let file = FileSystem.absolute("\(#filePath)/../../../Fixtures/interchange/\(script)")
        process.arguments = [file] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(script): \(output)")
        if process.terminationStatus == 0 { print(output, terminator: "") }
    }
}
