internal import ArgumentParser
internal import Basics
internal import ContentStorage
internal import Glibc
internal import Remotes
package import TerminalOutput
internal import Workspaces

/// What git's hooks call; not for people.
struct HookCommand: Verb {
    static let configuration = CommandConfiguration(
        commandName: "hook", abstract: "Do a git hook's part", shouldDisplay: false)

    @Argument(help: "The hook's name.")
    var hook: String

    @Argument(help: "What git gives the hook.")
    var arguments: [String] = []

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        switch GitHook(rawValue: hook) {
        case .postCheckout:
            await follow(console) { workspace in
                guard arguments.count == 3 else { throw wrongCount(3) }
                return try await workspace.followCheckout(
                    from: arguments[0], to: arguments[1], isBranch: arguments[2] == "1")
            }
        case .postMerge:
            await follow(console) { workspace in
                guard arguments.count == 1 else { throw wrongCount(1) }
                return try await workspace.followMerge(isSquash: arguments[0] == "1")
            }
        case .postCommit: await follow(console) { try await $0.followCommit() }
        case .postRewrite:
            // The other is `amend`, which changes no file.
            if arguments.first == "rebase" { await follow(console) { try await $0.followRebase() } }
        case .prePush: try await push(console)
        case nil:
            throw MLOpsError(
                .usage, "`\(printable(hook))` is no hook of mlops",
                hint: "the hooks are \(GitHook.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", "))")
        }
    }

    private func wrongCount(_ expected: Int) -> MLOpsError {
        MLOpsError(.usage, "the hook `\(hook)` takes \(Format.count(expected, "argument")), not \(arguments.count)")
    }

    /// Whatever happens, git's own work was done, so nothing here may make it look as if it failed.
    private func follow(_ console: Console, _ work: (Workspace) async throws -> HookReport) async {
        do {
            let report = try await work(try global.openWorkspace())
            for problem in report.problems { console.warning(problem.message, hint: problem.hint) }
            if !report.outcomes.isEmpty { try console.report(report) }
        } catch let error as MLOpsError where error.kind == .noProject || error.kind == .notFound {
            // A commit from before `mlops init`.
        } catch let error as MLOpsError {
            console.warning(error.description, hint: error.hint)
        } catch {
            console.warning(String(describing: error))
        }
    }

    private func push(_ console: Console) async throws {
        let workspace: Workspace
        do {
            workspace = try global.openWorkspace()
        } catch let error as MLOpsError where error.kind == .noProject || error.kind == .notFound {
            return
        }
        do {
            let outcome = try await console.withByteProgress("pushing data") { progress in
                try await workspace.pushDataBeforeGit(
                    HookCommand.standardInput(), to: arguments.first ?? "", progress: progress)
            }
            guard let (report, problems) = outcome else { return }
            for problem in problems { console.warning(problem.message, hint: problem.hint) }
            if report.objectCount > 0 { try console.report(report) }
        } catch let error as MLOpsError {
            let hint = error.hint.map {
                $0.contains("--no-verify") ? $0 : $0 + "; or push without the data: `git push --no-verify`"
            }
            throw MLOpsError(
                error.kind, "git does not push, because the data cannot be: \(error.description)",
                hint: hint ?? "push without the data: `git push --no-verify`", cause: error.cause)
        }
    }

    /// All of standard input: one line for each pushed reference.
    private static func standardInput() -> String {
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65536)
        while bytes.count < 64 << 20 {
            let count = Glibc.read(STDIN_FILENO, &block, block.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += block[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension HookReport: TextRenderable {
    package func text(_ style: TextStyle) -> String { CheckoutList(artifacts: outcomes).text(style) }

    package var essence: String { CheckoutList(artifacts: outcomes).essence }
}

/// The merge driver of pointers, which git calls; not for people.
struct MergePointer: Verb {
    static let configuration = CommandConfiguration(
        commandName: "merge-pointer", abstract: "Merge a pointer for git", shouldDisplay: false)

    @Argument(help: "The file with the common ancestor's version.")
    var base: String

    @Argument(help: "The file with our version, which is overwritten by the result.")
    var ours: String

    @Argument(help: "The file with their version.")
    var theirs: String

    @Argument(help: "The path of the pointer in the work tree.")
    var path: String

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let folder = global.workingDirectory
        func text(_ path: String) throws -> String {
            try FileSystem.readText(FileSystem.absolute(path, from: folder))
        }
        let merge = try await mergePointer(
            base: try text(base), ours: try text(ours), theirs: try text(theirs), path: path, workTree: folder,
            environment: GlobalOptions.host)
        try FileSystem.replaceUnflushed(FileSystem.absolute(ours, from: folder), with: Array(merge.text.utf8))
        guard !merge.isClean else { return }
        for reason in merge.reasons { console.warning("`\(path)`: \(reason)") }
        throw ExitCode(1)
    }
}
