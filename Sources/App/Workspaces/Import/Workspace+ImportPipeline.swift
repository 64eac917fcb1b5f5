internal import Basics
package import Pipelines

/// What became of a `dvc.yaml`.
package struct PipelineImportReport: Encodable, Sendable {
    package struct Remark: Encodable, Sendable {
        /// `file:line:column`.
        package var place: String
        package var message: String
        package var hint: String?
        /// Whether something was not imported that should have been.
        package var isFailure: Bool
    }

    /// The `dvc.yaml`, by its path in the project.
    package var source: String
    /// What was written, or would be.
    package var files: [String]
    package var stageCount: Int
    package var remarks: [Remark]
    package var isDryRun: Bool
    /// The pipeline as YAML.
    package var text: String

    package var failureCount: Int { remarks.count(where: \.isFailure) }
}

extension Workspace {
    /// Turns a `dvc.yaml` into a pipeline of this project and checks the result.
    ///
    /// - Parameters:
    ///   - file: relative to `directory`.
    ///   - target: where to write, relative to `directory`; by default `pipelines/<name of the folder>.yaml`.
    ///   - overwrites: whether files that are there may be replaced.
    package func importDVCPipeline(
        _ file: String, from directory: String, to target: String?, isDryRun: Bool, overwrites: Bool, steps: StepCatalog
    ) throws -> PipelineImportReport {
        let source = try relativePath(of: file, from: directory)
        let folder = FileSystem.parent(of: FileSystem.join(root, source.description))
        let name = DVCPipelineImport.name(for: folder)
        let path = try target.map { try relativePath(of: $0, from: directory).description } ?? "pipelines/\(name).yaml"
        let stem = path.hasSuffix(".yaml") ? String(path.dropLast(5)) : path
        let variablesFile = stem + ".vars.yaml"
        let result = try DVCPipelineImport.read(
            source.description, root: root, name: name, variablesFile: variablesFile)
        let heading = "# Written from \(source) by `mlops pipeline import-dvc`.\n"
        var files = [(path: path, text: heading + result.text)]
        if let variables = result.variables { files.append((variablesFile, "# `vars` of \(source).\n" + variables)) }
        var report = PipelineImportReport(
            source: source.description, files: files.map(\.path), stageCount: result.stageCount,
            remarks: result.remarks.map {
                .init(place: "\($0.location)", message: $0.message, hint: $0.hint, isFailure: $0.isFailure)
            }, isDryRun: isDryRun, text: result.text)
        guard !isDryRun, result.stageCount > 0 else { return report }
        try write(files, overwrites: overwrites)
        for error in try lintPipeline(path, from: root, steps: steps) {
            report.remarks.append(
                .init(
                    place: error.location.map { "\($0)" } ?? path, message: error.message, hint: error.hint,
                    isFailure: true))
        }
        return report
    }

    private func write(_ files: [(path: String, text: String)], overwrites: Bool) throws {
        for file in files where !overwrites && FileSystem.exists(FileSystem.join(root, file.path)) {
            throw MLOpsError(
                .conflict, "`\(file.path)` exists already",
                hint: "name another file with `--to`, or replace it with `--force`")
        }
        for file in files {
            let full = FileSystem.join(root, file.path)
            try FileSystem.createDirectories(FileSystem.parent(of: full))
            try FileSystem.replace(full, with: Array(file.text.utf8))
        }
    }
}
