internal import ArgumentParser
internal import Basics
internal import ContentStorage
internal import Glibc
internal import Pipelines
internal import TerminalOutput
internal import Workspaces

/// The flags that every verb takes.
struct GlobalOptions: ParsableArguments {
    @Flag(name: .long, help: "Print the result, and errors, as JSON.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print only the result's essence, and errors.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Print details, and the causes of errors.")
    var verbose = false

    @Flag(name: .long, help: "Print without colour.")
    var noColor = false

    @Option(
        name: [.customShort("C"), .long], help: ArgumentHelp("Work as if started in this directory.", valueName: "dir"))
    var directory: String?

    var console: Console {
        Console(
            OutputOptions(
                isJSON: json, verbosity: quiet ? .quiet : verbose ? .verbose : .normal, forbidsColor: noColor),
            environment: MLOpsCommand.environment)
    }

    /// The directory to work in, absolute.
    var workingDirectory: String { FileSystem.absolute(directory ?? ".") }

    /// The project around the working directory.
    func openWorkspace() throws -> Workspace {
        try Workspace.open(at: workingDirectory, environment: GlobalOptions.host)
    }

    /// Processors that this process may use, at least 1.
    static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// What this machine has for stages that say what they need.
    static var capacity: Resources {
        let memory = Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
        return Resources(cpus: Double(processorCount), memory: memory > 0 ? ByteCount(memory) : nil)
    }

    /// What the libraries need to know of this process.
    static var host: HostEnvironment {
        let variables = MLOpsCommand.environment
        let user =
            variables["USER"] ?? variables["LOGNAME"] ?? getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) }
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let machine = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let configuration = variables["XDG_CONFIG_HOME"] ?? variables["HOME"].map { $0 + "/.config" }
        return HostEnvironment(
            variables: variables, executable: FileSystem.resolved("/proc/self/exe") ?? "mlops",
            actor: "\(user ?? "unknown")@\(machine)",
            userConfigurationPath: configuration.map { $0 + "/mlops/config.yaml" })
    }
}

/// A verb: parsed flags, one call of a library, one report.
protocol Verb: AsyncParsableCommand {
    var global: GlobalOptions { get }
    func perform(_ console: Console) async throws
}

extension Verb {
    func run() async throws { try await perform(global.console) }
}

extension Console {
    /// Runs `work` with a progress line for the bytes that it reports.
    func withByteProgress<Value>(
        _ label: String, _ work: (@escaping ProgressHandler) async throws -> Value
    ) async rethrows -> Value {
        let display = ProgressDisplay(self, ProgressMeter(label))
        defer { display.finish() }
        return try await work { display.update(done: $0.doneBytes, total: $0.totalBytes) }
    }
}
