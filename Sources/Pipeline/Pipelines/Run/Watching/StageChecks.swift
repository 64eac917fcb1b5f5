internal import Basics

/// How strictly a run looks at what its commands read and write.
package struct CheckOptions: Sendable {
    /// Whether a write besides the outputs is a failure instead of a warning.
    package var isStrict = false
    /// Whether commands run under `strace`, which sees what they read, and who wrote what.
    package var isTracing = false
    /// Whether git ignores a path of the repository; a folder's ends in `/`.
    package var isIgnored: @Sendable (String) -> Bool = { _ in false }

    package init() {}
}

/// Checks that commands read and write what they declare.
struct StageChecks: Sendable {
    /// What was found of one stage.
    struct Findings: Sendable {
        /// Sentences for people.
        var warnings: [String] = []
        /// With `--strict`: what the stage fails with.
        var error: MLOpsError?
        /// `{"reads": "traced", "writes": "compared"}`.
        var record: JSONValue?
    }

    /// Where `--trace` is asked for and `strace` is there: its path.
    let strace: String?
    private let options: CheckOptions
    private let watch: TreeWatch
    private let rules: WatchRules
    private let root: String
    /// So many are named; the rest is counted.
    private static let shown = 5

    init(_ pipeline: Pipeline, _ options: CheckOptions) {
        self.options = options
        root = pipeline.root
        strace = options.isTracing ? StageTrace.find(searchPath: pipeline.environment["PATH"]) : nil
        watch = TreeWatch(pipeline, isIgnored: options.isIgnored)
        rules = WatchRules(pipeline, isIgnored: options.isIgnored)
    }

    /// Built-in steps declare what they read and write themselves, and other machines are out of sight.
    func applies(to command: StageCommand, executor: any StageExecutor) -> Bool {
        command.stage.stepName == nil && executor is LocalExecutor
    }

    func begin(_ stage: Stage) { watch.begin(stage.name) }

    /// `command`, under `strace` if that is asked for, which writes into the folder `log`.
    func traced(_ command: StageCommand, log: String) throws -> StageCommand {
        guard let strace else { return command }
        try FileSystem.removeTree(log)
        try FileSystem.createDirectories(log)
        var command = command
        command.arguments = StageTrace.arguments(
            strace: strace, log: log, program: command.executable, arguments: command.arguments)
        command.executable = strace
        return command
    }

    /// - Parameter log: what `strace` wrote; it is removed.
    func end(_ stage: Stage, log: String) -> Findings {
        let changes = watch.end(stage.name)
        var findings = Findings()
        var trace: StageTrace?
        if strace != nil {
            trace = try? StageTrace(log: log, root: root)
            try? FileSystem.removeTree(log)
        }
        if options.isTracing, trace == nil {
            findings.warnings.append(
                strace == nil
                    ? "what it reads was not checked, as `strace` is not installed"
                    : "what it reads was not checked, as `strace` left no record")
        }
        let isCompared = !watch.isTooLarge
        findings.record = [
            "reads": trace == nil ? "unchecked" : "traced",
            "writes": trace != nil ? "traced" : isCompared ? "compared" : "unchecked",
        ]
        if trace == nil, !isCompared, options.isStrict {
            findings.error = MLOpsError(
                .failed,
                "what stage `\(stage.name)` writes cannot be checked: the repository has more than \(TreeWatch.limit) files",
                hint: "run without `--strict`, or with `--trace`", at: stage.location)
        }
        let own = Set(stage.deps.map(\.path))
        let writes = trace.map { written($0, stage) } ?? changes.filter { options.isStrict || !own.contains($0.path) }
        tell(writes, of: stage, in: &findings)
        if let trace { tellReads(trace, of: stage, in: &findings) }
        return findings
    }

    // MARK: Writes

    private func written(_ trace: StageTrace, _ stage: Stage) -> [TreeWatch.Change] {
        // What is gone again was a temporary file of the command's own.
        trace.writes.filter { isWatched($0) && FileSystem.exists(FileSystem.join(root, $0)) }.sorted()
            .map { TreeWatch.Change(path: $0, kind: .changed, others: []) }
    }

    private func isWatched(_ path: String) -> Bool {
        var folder = ""
        let parts = path.split(separator: "/").map(String.init)
        for (index, name) in parts.enumerated() {
            let below = folder.isEmpty ? name : folder + "/" + name
            guard rules.watches(below, name: name, isFolder: index < parts.count - 1, in: folder) else { return false }
            folder = below
        }
        return true
    }

    private func tell(_ writes: [TreeWatch.Change], of stage: Stage, in findings: inout Findings) {
        guard !writes.isEmpty else { return }
        let names = StageChecks.names(writes.map(\.path))
        let others = Set(writes.flatMap(\.others)).sorted()
        let isRemoval = writes.allSatisfy { $0.kind == .removed }
        let verb = isRemoval ? "removed" : "wrote"
        let text =
            others.isEmpty
            ? "\(verb) \(names), which its `outs` do not name"
            : "while it and \(StageChecks.names(others)) ran, \(names) \(writes.count == 1 ? "was" : "were") \(isRemoval ? "removed" : "written"), "
                + "which no `outs` name"
        guard options.isStrict else {
            findings.warnings.append(text)
            return
        }
        let hint =
            others.isEmpty
            ? "add what counts to its `outs`, and the rest to `.gitignore`"
            : "`--jobs 1` or `--trace` tells which of them it was"
        findings.error = MLOpsError(
            .failed, others.isEmpty ? "stage `\(stage.name)` \(text)" : "stage `\(stage.name)`: \(text)", hint: hint,
            at: stage.location)
    }

    // MARK: Reads

    private func tellReads(_ trace: StageTrace, of stage: Stage, in findings: inout Findings) {
        let declared = Set((stage.deps + stage.outputs).map(\.path))
        var missed = trace.reads.subtracting(trace.writes).filter { path in
            !isDeclared(path, declared) && !isFurniture(path) && FileSystem.exists(FileSystem.join(root, path))
                && !FileSystem.isDirectory(FileSystem.join(root, path))
        }
        if case .command(let arguments) = stage.action { missed.remove(arguments[0]) }
        guard !missed.isEmpty else { return }
        findings.warnings.append("read \(StageChecks.names(missed.sorted())), which its `deps` do not name")
    }

    private func isDeclared(_ path: String, _ declared: Set<String>) -> Bool {
        var folder = path
        while folder != ".", folder != "/" {
            if declared.contains(folder) { return true }
            folder = FileSystem.parent(of: folder)
        }
        return false
    }

    /// What belongs to tools: the project's own folders, environments of Python, caches of interpreters.
    private func isFurniture(_ path: String) -> Bool {
        var folder = root
        for part in path.split(separator: "/").dropLast() {
            if [".git", ".mlops", "registry", "__pycache__", "node_modules"].contains(part) { return true }
            folder = FileSystem.join(folder, String(part))
            if FileSystem.exists(FileSystem.join(folder, "pyvenv.cfg")) { return true }
        }
        return [".gitignore", ".gitattributes"].contains(FileSystem.name(of: path))
    }

    private static func names(_ names: [String]) -> String {
        var all = names.prefix(shown).map { "`\(printable($0))`" }
        if names.count > shown { all.append("\(names.count - shown) more") }
        guard all.count > 1, let last = all.last else { return all.first ?? "" }
        return all.dropLast().joined(separator: ", ") + " and " + last
    }
}
