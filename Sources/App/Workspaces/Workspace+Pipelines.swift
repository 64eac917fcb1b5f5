package import Basics
internal import GitIntegration
package import Pipelines

extension Workspace {
    /// Reads and checks the pipeline in `file`, which is given relative to `directory`.
    package func loadPipeline(
        _ file: String, from directory: String, overrides: [String], steps: StepCatalog
    ) throws -> Pipeline {
        try Pipeline.load(try source(file, from: directory, overrides: overrides, steps: steps))
    }

    /// Every error of the pipeline in `file`, in the order of the file.
    package func lintPipeline(_ file: String, from directory: String, steps: StepCatalog) throws -> [MLOpsError] {
        try Pipeline.lint(try source(file, from: directory, overrides: [], steps: steps))
    }

    private func source(
        _ file: String, from directory: String, overrides: [String], steps: StepCatalog
    ) throws -> PipelineSource {
        PipelineSource(
            root: root, file: FileSystem.absolute(file, from: directory), displayName: file, overrides: overrides,
            environment: environment.variables,
            git: Lazy { [self] in try gitContext() }, steps: steps)
    }

    private func gitContext() throws -> GitContext {
        guard let git = try git else { return GitContext() }
        let head = try git.head()
        return GitContext(
            commit: head.commit, branch: head.branch ?? continuousIntegrationBranch, isDirty: try git.isDirty())
    }

    /// The branch that a job of GitHub or GitLab works for: both check out a commit without its branch.
    private var continuousIntegrationBranch: String? {
        let variables = environment.variables
        func value(_ name: String) -> String? { variables[name].flatMap { $0.isEmpty ? nil : $0 } }
        let pushed = value("GITHUB_REF_TYPE") == "branch" ? value("GITHUB_REF_NAME") : nil
        return value("GITHUB_HEAD_REF") ?? pushed ?? value("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
            ?? value("CI_COMMIT_BRANCH")
    }

    /// Runs a pipeline; every event is told as it happens.
    package func run(
        _ pipeline: Pipeline, options: RunOptions, onEvent: @escaping @Sendable (RunEvent) -> Void
    ) async throws -> RunReport {
        var options = options
        if let git = try git {
            let root = root
            options.checks.isIgnored = { path in (try? git.isIgnored(FileSystem.join(root, path))) ?? false }
        }
        return try await runner(for: pipeline, options).run(events: onEvent)
    }

    /// What a run would do.
    package func status(of pipeline: Pipeline, options: RunOptions) async throws -> PipelineStatusReport {
        try await runner(for: pipeline, options).status()
    }

    private func runner(for pipeline: Pipeline, _ options: RunOptions) -> PipelineRunner {
        var options = options
        options.executors.append(
            SlurmExecutor(
                workspace: folder, pipeline: pipeline.name, executable: environment.executable,
                environment: environment.variables))
        return PipelineRunner(
            pipeline, store: StageStorage(workspace: self), meter: HostEnergyMeter(), options: options,
            executable: environment.executable)
    }

    /// Does the order in `folder` on a node of a cluster.
    ///
    /// - Returns: the exit code that the job ends with.
    package static func performJob(in folder: String, environment: [String: String]) async throws -> Int32 {
        try await SlurmOrder.perform(in: folder, environment: environment, meter: HostEnergyMeter())
    }
}
