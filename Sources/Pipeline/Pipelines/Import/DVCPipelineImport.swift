package import Basics

/// A `dvc.yaml` as a pipeline of this project, and line by line what has no place in it.
package struct DVCPipelineImport: Sendable {
    package struct Remark: Sendable {
        package var location: SourceLocation
        package var message: String
        package var hint: String?
        /// Whether something is missing that the original does.
        package var isFailure: Bool
    }

    package var name: String
    package var stageCount: Int
    /// The pipeline, as YAML.
    package var text: String
    /// Variables that `dvc.yaml` defines itself, as YAML; nil without any.
    package var variables: String?
    package var remarks: [Remark]

    package var failureCount: Int { remarks.count(where: \.isFailure) }

    /// Reads `file`.
    ///
    /// - Parameters:
    ///   - root: the repository's folder, absolute.
    ///   - file: the path of `dvc.yaml` in it.
    ///   - name: of the pipeline.
    ///   - variablesFile: where `variables` will be written, a path in the repository.
    /// - Throws: if the file is no YAML, or has no stages.
    package static func read(
        _ file: String, root: String, name: String, variablesFile: String
    ) throws -> DVCPipelineImport {
        let full = FileSystem.join(root, file)
        guard FileSystem.exists(full) else {
            throw MLOpsError(
                .notFound, "`\(printable(file))` does not exist", hint: "name a `dvc.yaml` of this project")
        }
        let node = try YAML.read(full, name: file)
        guard case .map(let entries) = node.content else {
            throw node.expected("a map with `stages`", hint: "`\(file)` is no `dvc.yaml`")
        }
        var reader = DVCPipelineReader(root: root, folder: FileSystem.parent(of: file))
        return try reader.read(
            YAMLMap(entries: entries, location: node.location), name: name, variablesFile: variablesFile)
    }

    /// A name for the pipeline of the `dvc.yaml` in `folder`, an absolute path.
    package static func name(for folder: String) -> String { identifier(FileSystem.name(of: folder)) ?? "dvc" }

    /// `text` with what a name cannot hold replaced by `_`; nil if nothing is left.
    static func identifier(_ text: String) -> String? {
        var name = String(
            text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") ? $0 : "_" }.prefix(60))
        guard name.contains(where: { $0.isLetter || $0.isNumber }) else { return nil }
        if name.first?.isLetter != true { name = "s_" + name }
        return StageSpec.reservedNames.contains(name) ? name + "_" : name
    }
}
