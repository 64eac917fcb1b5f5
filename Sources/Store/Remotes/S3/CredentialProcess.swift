internal import Basics
internal import Foundation

/// A program that prints credentials: `credential_process` of a profile.
///
/// It comes from a file of the user's own home, never from a project.
struct CredentialProcess: Sendable {
    let command: String
    let profile: String

    /// How long the program may take.
    private static let patience: TimeInterval = 60

    /// - Throws: kind `.notAllowed` saying what the program did instead.
    func run(_ environment: [String: String]) async throws -> S3Credentials {
        let words = try CredentialProcess.split(command)
        let (status, output) = try await BlockingThreads.shared.run { try start(words, environment) }
        guard status == 0 else {
            throw MLOpsError(
                .notAllowed,
                "the `credential_process` of the profile `\(printable(profile))` ended with status \(status)",
                hint: "run `\(printable(command))` to see why")
        }
        return try S3Credentials(
            json: output, tokenName: "SessionToken", source: "the `credential_process` of the profile `\(profile)`")
    }

    private func start(_ words: [String], _ environment: [String: String]) throws -> (status: Int32, output: [UInt8]) {
        try OpenFile.requireRoom(toStart: words.first ?? "")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["--"] + words
        process.environment = environment
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw MLOpsError(
                .notAllowed, "the `credential_process` of the profile `\(printable(profile))` does not start",
                cause: error)
        }
        let timer = DispatchWorkItem { if process.isRunning { process.terminate() } }
        DispatchQueue.global().asyncAfter(deadline: .now() + CredentialProcess.patience, execute: timer)
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        timer.cancel()
        return (process.terminationStatus, Array(output))
    }

    /// `command` in words, as a shell splits it: blanks part them; quotes and backslashes keep them together.
    static func split(_ command: String) throws -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in command {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        guard quote == nil, !isEscaped, !words.isEmpty else {
            throw MLOpsError(.notAllowed, "`credential_process = \(printable(command))` is no command line")
        }
        return words
    }
}
