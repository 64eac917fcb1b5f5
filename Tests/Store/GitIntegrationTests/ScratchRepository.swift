import Basics
import Foundation
import TestSupport

/// A git repository in a temporary folder, driven by the real `git`.
final class ScratchRepository: Sendable {
    let folder: TemporaryFolder
    var path: String { folder("work") }

    /// - Parameter options: of `git init`.
    init(_ options: String...) throws {
        folder = try TemporaryFolder()
        try FileSystem.createDirectories(folder("work"))
        try FileSystem.createDirectories(folder("home"))
        try git(["init", "-q", "-b", "main"] + options)
    }

    func callAsFunction(_ name: String) -> String { FileSystem.join(path, name) }

    func write(_ name: String, _ text: String) throws { try folder.write("work/" + name, text) }

    /// Writes a file and commits everything.
    @discardableResult
    func commit(_ name: String, _ text: String) throws -> String {
        try write(name, text)
        try git("add", "-A")
        try git("commit", "-q", "--allow-empty", "-m", "Change \(name)")
        return try git("rev-parse", "HEAD")
    }

    /// Runs `git` here and gives what it printed, without the last newline.
    @discardableResult
    func git(_ arguments: String..., in place: String? = nil) throws -> String {
        try git(arguments, in: place)
    }

    @discardableResult
    func git(_ arguments: [String], in place: String? = nil, accepting codes: Set<Int32> = [0]) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/git")
        process.arguments = arguments
        process.currentDirectoryURL = URL(filePath: place ?? path)
        process.environment = [
            "HOME": folder("home"), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
        ]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        var text = String(decoding: data, as: UTF8.self)
        guard codes.contains(process.terminationStatus) else {
            throw MLOpsError(.failed, "git \(arguments) ended with \(process.terminationStatus): \(text)")
        }
        if text.hasSuffix("\n") { text.removeLast() }
        return text
    }
}
