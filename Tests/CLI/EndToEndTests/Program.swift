import Basics
import Foundation
import TestSupport

/// The outcome of one program.
struct ProgramResult: Sendable {
    var exitCode: Int32
    var output: String
    var error: String

    /// Both streams, for messages of failed tests.
    var all: String { "exit \(exitCode)\n\(output)\(error)" }

    /// The output as JSON.
    func json() throws -> JSONValue { try JSONValue(parsing: Array(output.utf8), source: "standard output") }
}

/// The `mlops` that was built beside this test, as a user would start it.
enum Program {
    static var path: String {
        get throws {
            let tests = FileSystem.resolved("/proc/self/exe") ?? ""
            // The tests run inside the bundle's own program or inside a helper of the toolchain.
            let candidates = [
                FileSystem.parent(of: tests) + "/mlops",
                FileSystem.parent(of: CommandLine.arguments.first ?? "") + "/mlops",
                Bundle.main.bundlePath + "/mlops", ".build/debug/mlops",
            ]
            guard let found = candidates.first(where: FileSystem.exists) else {
                throw MLOpsError(.notFound, "mlops was not built beside the tests: \(candidates)")
            }
            return FileSystem.absolute(found)
        }
    }

    /// Runs `mlops` with `arguments` in `folder`.
    static func mlops(
        _ arguments: [String], in folder: String, environment: [String: String] = [:]
    ) throws -> ProgramResult {
        try run(try path, arguments, in: folder, environment: environment)
    }

    /// The processes with `word` among their arguments.
    static func processes(naming word: String) throws -> [String] {
        try FileSystem.list("/proc").filter { Int($0) != nil }.filter { id in
            (try? FileSystem.readText("/proc/\(id)/cmdline"))?.contains("\0\(word)") == true
        }
    }

    /// Looks again and again for up to 10 seconds.
    static func wait(_ what: String, until isSo: () throws -> Bool) throws {
        for _ in 0..<200 {
            if try isSo() { return }
            usleep(50_000)
        }
        throw MLOpsError(.failed, "waited in vain until \(what)")
    }

    /// Starts `mlops` and returns while it runs; what it prints is dropped.
    static func start(_ arguments: [String], in folder: String) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try path)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Runs any program, found in PATH unless it has a slash.
    @discardableResult
    static func run(
        _ program: String, _ arguments: [String], in folder: String, environment: [String: String] = [:]
    ) throws -> ProgramResult {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program.contains("/") ? program : "/usr/bin/env")
        process.arguments = program.contains("/") ? arguments : [program] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        var variables = ProcessInfo.processInfo.environment
        variables["NO_COLOR"] = "1"
        variables["HOME"] = folder
        variables["GIT_CONFIG_GLOBAL"] = "/dev/null"
        variables["GIT_CONFIG_NOSYSTEM"] = "1"
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] { variables[name] = "Test" }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] { variables[name] = "test@example.org" }
        process.environment = variables.merging(environment) { _, new in new }
        // Files, not pipes: a pipe that nobody empties stops a talkative program.
        let scratch = try TemporaryFolder()
        let (output, error) = (scratch("output"), scratch("error"))
        try FileSystem.replace(output, with: [])
        try FileSystem.replace(error, with: [])
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: error))
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return ProgramResult(
            exitCode: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
            output: try FileSystem.readText(output), error: try FileSystem.readText(error))
    }
}

/// A git repository with an mlops project in it, for one test.
struct Project {
    let folder: TemporaryFolder

    /// A repository with one commit, on which `mlops init` was run.
    init() throws { try self.init(in: TemporaryFolder()) { _ in } }

    /// - Parameter before: what happens in the repository before `mlops init`.
    init(in folder: TemporaryFolder, _ before: (Project) throws -> Void) throws {
        self.folder = folder
        try git("init", "-q", "-b", "main")
        try before(self)
        try mlops("init").expectSuccess()
        try commit("Start")
    }

    var path: String { folder.path }

    /// Everything that git sees or ignores, but for the records of runs.
    var files: [String] {
        get throws {
            try git("status", "--porcelain", "--ignored", "-uall").output.split(separator: "\n").map(String.init)
                .filter { !$0.contains(".mlops/") }
        }
    }

    @discardableResult
    func git(_ arguments: String...) throws -> ProgramResult {
        let result = try Program.run("git", arguments, in: folder.path)
        try result.expectSuccess()
        return result
    }

    func commit(_ message: String) throws {
        try git("add", "-A")
        try git("commit", "-q", "-m", message)
    }

    func mlops(_ arguments: String..., environment: [String: String] = [:]) throws -> ProgramResult {
        try Program.mlops(arguments, in: folder.path, environment: environment)
    }
}

extension ProgramResult {
    /// Throws what the program printed unless it ended with 0.
    func expectSuccess() throws {
        if exitCode != 0 { throw MLOpsError(.failed, all) }
    }
}
