internal import ArgumentParser
internal import Basics
internal import Dispatch
internal import Glibc
internal import TerminalOutput
internal import Workspaces

/// The program behind the executable.
package enum MLOpsProgram {
    /// Runs the verb that `arguments` (without the program's name) name, and ends the process.
    ///
    /// Not `async`: Dispatch ends the process at once where it cannot open its own files, so that is asked before it starts.
    package static func run(_ arguments: [String]) -> Never {
        OutputChannel.ignoreBrokenPipes()
        if let code = MLOpsCommand.refusal(arguments) { exit(code) }
        Task { end(await MLOpsCommand.start(arguments)) }
        dispatchMain()
    }

    /// Not `exit`: its handlers tear down OpenSSL, while `Workspace.prepare` may still be loading what uses it.
    private static func end(_ code: Int32) -> Never {
        fflush(nil)
        _exit(code)
    }
}

/// The command line: its verbs, and how a call of one becomes an exit code.
struct MLOpsCommand: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "mlops",
        abstract: "Version data and models, run gated pipelines, and ship models from git",
        discussion: """
            A first project:
              mlops init
              mlops add data/train.csv
              mlops pipeline run pipelines/census.yaml
              mlops registry push models/census

            Every verb takes --json, --quiet, --verbose, --no-color and -C DIR.

            Exit codes:
              0 done, 1 failed, 3 partly done, 4 refused by a gate
              5 disk full or I/O error, 10 no project here
              11 locked or lost a race, 12 damaged data
              13 remote unreachable, 14 not allowed
              64 wrong usage, 130 interrupted
            """,
        version: version,
        subcommands: [StepCommand.self, JobCommand.self, HookCommand.self, MergePointer.self],
        groupedSubcommands: [
            CommandGroup(
                name: "Data",
                subcommands: [
                    Init.self, Add.self, Status.self, Diff.self, Checkout.self, Log.self, Fsck.self, Gc.self,
                    Push.self,
                    Pull.self, Get.self,
                ]),
            CommandGroup(
                name: "Models and pipelines",
                subcommands: [
                    RemoteCommand.self, PipelineCommand.self, RunCommand.self, RegistryCommand.self, RecipeCommand.self,
                    Train.self, ModelCommand.self,
                ]),
            CommandGroup(
                name: "Git, DVC and Git LFS",
                subcommands: [Install.self, Uninstall.self, ImportDVC.self, ImportLFS.self]),
            CommandGroup(name: "Other", subcommands: [Completion.self]),
        ])

    /// The exit code if this process cannot run any verb, after saying why.
    static func refusal(_ arguments: [String]) -> Int32? {
        do {
            try OpenFileLimit.check()
            try FileSystem.requireCurrentDirectory()
            return nil
        } catch {
            return console(for: nil, arguments).error(error)
        }
    }

    /// Runs the verb that `arguments` name; the process's exit code.
    static func start(_ arguments: [String]) async -> Int32 {
        let arguments = ArgumentOrder.verbFirst(arguments)
        if asksGit(arguments) { Workspace.prepare() }
        let task = Task { await perform(arguments) }
        let interruption = Interruption { task.cancel() }
        let code = await task.value
        if let pending = Failpoint.pending {
            console(for: nil, arguments).warning(
                "`\(pending)` of MLOPS_FAILPOINT was not reached",
                hint: "`MLOPS_FAILPOINT=list:FILE` lists the points that the command passes")
        }
        if code != 0 { return interruption.exitCode ?? code }
        guard let number = OutputChannel.standardOutput.failure else { return 0 }
        // A script that goes by the exit code would take a cut result for a whole one.
        return console(for: nil, arguments).error(MLOpsError.system("write to", "standard output", errno: number))
    }

    /// Whether the verb is likely to ask git, so that it is worth loading beside what comes before.
    private static func asksGit(_ arguments: [String]) -> Bool {
        guard let verb = arguments.first, !verb.hasPrefix("-") else { return false }
        if verb == "pipeline" { return !["status", "lint", "schema"].contains(arguments.dropFirst().first) }
        return !["step", "job", "completion", "model"].contains(verb)
    }

    private static func perform(_ arguments: [String]) async -> Int32 {
        var command: any ParsableCommand
        do {
            if let specification = environment["MLOPS_FAILPOINT"] { try Failpoint.arm(specification) }
            command = try parseAsRoot(arguments)
        } catch {
            return explain(error, arguments)
        }
        do {
            if var verb = command as? any AsyncParsableCommand {
                try await verb.run()
            } else {
                try command.run()
            }
            return 0
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            // A call of `--help`, and flags that a verb itself finds wrong, come out of running it.
            if error is ValidationError || exitCode(for: error) == .success { return explain(error, arguments) }
            return console(for: command, arguments).error(error)
        }
    }

    /// Prints help and versions to standard output, and what is wrong with the arguments as any other error.
    private static func explain(_ error: any Error, _ arguments: [String]) -> Int32 {
        if exitCode(for: error) == .success {
            Console(environment: environment).print(fullMessage(for: error))
            return 0
        }
        if let error = error as? MLOpsError { return console(for: nil, arguments).error(error) }
        let verbs = arguments.prefix { !$0.hasPrefix("-") }.prefix(2)
        let known = verbs.first.map { name in configuration.allNames.contains(name) } ?? false
        if let verb = verbs.first, !known {
            let near = nearestName(to: verb, among: configuration.allNames).map { "did you mean `mlops \($0)`?" }
            return console(for: nil, arguments).error(
                MLOpsError(.usage, "there is no verb `\(printable(verb))`", hint: near ?? "see `mlops --help`"))
        }
        let help = (["mlops"] + (known ? Array(verbs) : []) + ["--help"]).joined(separator: " ")
        var text = message(for: error)
        if text.hasSuffix(".") { text.removeLast() }
        text = text.prefix(1).lowercased() + text.dropFirst()
        return console(for: nil, arguments).error(
            MLOpsError(.usage, text.replacing("'", with: "`"), hint: "see `\(help)`"))
    }

    private static func console(for command: (any ParsableCommand)?, _ arguments: [String]) -> Console {
        if let verb = command as? any Verb { return verb.global.console }
        let isJSON = arguments.contains("--json")
        return Console(
            OutputOptions(isJSON: isJSON, forbidsColor: arguments.contains("--no-color")), environment: environment)
    }

    /// The process's environment, read once.
    static let environment: [String: String] = {
        var variables: [String: String] = [:]
        var entry = Glibc.environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return variables
    }()
}

extension CommandConfiguration {
    /// The names of all verbs below.
    fileprivate var allNames: Set<String> {
        Set((subcommands + groupedSubcommands.flatMap(\.subcommands)).compactMap { $0._commandName })
    }
}

/// Lets the flags that every verb takes stand before the verb too, as git's do: `mlops -C dir status`.
enum ArgumentOrder {
    private static let flags: Set<String> = ["--json", "--quiet", "-q", "--verbose", "-v", "--no-color"]

    static func verbFirst(_ arguments: [String]) -> [String] {
        var leading: [String] = []
        var rest = arguments[...]
        while let first = rest.first {
            if flags.contains(first) || first.hasPrefix("--directory=") {
                leading.append(first)
                rest = rest.dropFirst()
            } else if first == "-C" || first == "--directory", rest.count > 1 {
                leading += rest.prefix(2)
                rest = rest.dropFirst(2)
            } else {
                break
            }
        }
        guard !leading.isEmpty, rest.first?.hasPrefix("-") == false else { return arguments }
        // What follows `--` are names, so the flags go before it.
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return Array(rest[..<end]) + leading + Array(rest[end...])
    }
}
