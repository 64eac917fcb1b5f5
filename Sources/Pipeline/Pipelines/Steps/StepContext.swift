package import Basics

/// What a built-in step is given when it runs.
package struct StepContext: Sendable {
    /// The stage's `with`, interpolated, defaults filled in.
    package var with: JSONValue
    package var stage: String
    package var pipeline: String
    package var runID: String
    /// The repository's folder, absolute; paths are below it.
    package var root: String
    package var deps: [String]
    package var outs: [String]
    package var metricsPaths: [String]
    /// All parameters of the run.
    package var params: JSONValue
    /// Metrics of the stages upstream by stage name, and under `energy` joules and kwh, in total and by stage; filled as far as
    /// the step's plan says that it reads them.
    package var metrics: JSONValue
    /// What the caller knows of git and of the pipeline's file, for the record of a version.
    package var provenance: JSONValue
    /// Where the request lies; a place for scratch files too.
    package var folder: String
    /// Writes a line to the stage's log.
    package var log: @Sendable (String) -> Void

    package init(
        with: JSONValue, stage: String, pipeline: String = "pipeline", runID: String = "run", root: String,
        deps: [String] = [], outs: [String] = [], metricsPaths: [String] = [], params: JSONValue = [:],
        metrics: JSONValue = [:], provenance: JSONValue = [:], folder: String,
        log: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.with = with
        self.stage = stage
        self.pipeline = pipeline
        self.runID = runID
        self.root = root
        self.deps = deps
        self.outs = outs
        self.metricsPaths = metricsPaths
        self.params = params
        self.metrics = metrics
        self.provenance = provenance
        self.folder = folder
        self.log = log
    }

    /// Remembers what the step did outside its outputs; `BuiltInStep.holds` gets it when the stage is looked up again.
    package func recordEffects(_ effects: JSONValue) throws {
        try FileSystem.replace(FileSystem.join(folder, StepRequest.effectsFile), with: effects.canonicalBytes)
    }
}

/// The work order of a step's child process: `request.json` in a folder of the run.
package struct StepRequest: Codable, Sendable {
    package static let requestFile = "request.json"
    package static let errorFile = "error.json"
    package static let effectsFile = "effects.json"

    package var format = 1
    package var step: String
    package var stepVersion: Int
    package var stage: String
    package var pipeline: String
    package var run: String
    package var root: String
    package var with: JSONValue
    package var deps: [String]
    package var outs: [String]
    package var metrics: [String]
    package var params: JSONValue
    package var upstream: JSONValue
    package var provenance: JSONValue

    /// Does what the request in `folder` says; called in the child process by `mlops step <folder>`.
    ///
    /// - Parameter log: writes a line to standard output, at once.
    /// - Throws: the step's error, after it was written to `error.json` for the parent.
    package static func perform(
        in folder: String, steps: StepCatalog, log: @escaping @Sendable (String) -> Void
    ) async throws {
        do {
            let path = FileSystem.join(folder, requestFile)
            let json = try JSONValue(parsing: try FileSystem.read(path), source: path)
            let request: StepRequest = try json.decode()
            guard let step = steps[request.step], step.version == request.stepVersion else {
                throw MLOpsError(
                    .failed, "step `\(request.step)` version \(request.stepVersion) is not in this `mlops`",
                    hint: "the program was replaced while the pipeline ran; run it again")
            }
            try await step.run(request.context(folder: folder, log: log))
        } catch {
            let report = StepFailure(error)
            try FileSystem.replace(FileSystem.join(folder, errorFile), with: report.json.canonicalBytes)
            throw error
        }
    }

    private func context(folder: String, log: @escaping @Sendable (String) -> Void) -> StepContext {
        StepContext(
            with: with, stage: stage, pipeline: pipeline, runID: run, root: root, deps: deps, outs: outs,
            metricsPaths: metrics, params: params, metrics: upstream, provenance: provenance, folder: folder,
            log: log)
    }
}

/// An error on its way from the child to the parent: `{kind, message, hint, location, causes}`.
struct StepFailure {
    var error: MLOpsError

    init(_ error: any Error) {
        self.error =
            error as? MLOpsError
            ?? (error is CancellationError
                ? MLOpsError(.interrupted, "the step was interrupted") : MLOpsError(.failed, "\(error)"))
    }

    init(_ json: JSONValue) {
        let kind = json["kind"]?.string.flatMap(MLOpsError.Kind.init) ?? .failed
        var cause: MLOpsError?
        for text in (json["causes"]?.array ?? []).reversed() {
            cause = MLOpsError(.failed, text.string ?? "", cause: cause)
        }
        error = MLOpsError(
            kind, json["message"]?.string ?? "the step failed without a message", hint: json["hint"]?.string,
            at: json["location"].flatMap(SourceLocation.init), cause: cause)
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "kind": .string(error.kind.rawValue), "message": .string(error.message),
            "hint": error.hint.map(JSONValue.string) ?? .null,
        ]
        members["location"] = error.location?.json
        var causes: [JSONValue] = []
        var below = error.cause
        while let current = below {
            causes.append(.string("\(current)"))
            below = (current as? MLOpsError)?.cause
        }
        members["causes"] = .array(causes)
        return .object(members)
    }
}

extension SourceLocation {
    /// `{path, line, column}`; the column is null where it is not known.
    var json: JSONValue {
        [
            "path": .string(path), "line": .int(Int64(line)),
            "column": column.map { .int(Int64($0)) } ?? .null,
        ]
    }

    /// nil for what is no place.
    init?(_ json: JSONValue) {
        guard let path = json["path"]?.string, let line = json["line"]?.integer else { return nil }
        self.init(path: path, line: line, column: json["column"]?.integer)
    }
}
