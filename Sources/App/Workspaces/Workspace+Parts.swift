internal import ArtifactRegistry
package import Basics
internal import ContentStorage

/// How much of an artifact a checkout or a pull is about.
package struct CheckoutExtent: Sendable {
    /// Parts, from the artifact's own path; they are wanted from then on, besides those of earlier calls. Empty: what was
    /// wanted before.
    package var paths: [RelativePath]
    /// All of it from now on, whatever was said before.
    package var isWhole: Bool

    package init(paths: [RelativePath] = [], isWhole: Bool = false) {
        self.paths = paths
        self.isWhole = isWhole
    }
}

/// A pointer, and the parts of its content that this workspace wants.
struct WantedParts: Sendable {
    var pointer: Pointer
    var selection: PathSelection
}

/// `.mlops/partial/<kind>/<name>.json`: the parts of an artifact that this workspace wants (Documentation/formats/project.md).
extension Workspace {
    private func partsPath(of artifact: ArtifactName) -> String {
        FileSystem.join(folder, "partial/\(artifact).json")
    }

    /// The parts of `artifact` that this workspace wants: all unless a part was asked for.
    func selection(of artifact: ArtifactName) throws -> PathSelection {
        let path = partsPath(of: artifact)
        guard FileSystem.exists(path) else { return .all }
        let json = try JSONValue(parsing: try FileSystem.read(path), source: path)
        return PathSelection(try (json["paths"]?.array ?? []).compactMap(\.string).map { try RelativePath($0) })
    }

    private func remember(_ selection: PathSelection, of artifact: ArtifactName) throws {
        let path = partsPath(of: artifact)
        if selection.isAll { return try FileSystem.removeFile(path) }
        let json: JSONValue = ["paths": .array(selection.paths.map { .string($0.description) })]
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        try FileSystem.replace(path, with: json.canonicalBytes)
    }

    /// From now on all of `artifact` is wanted.
    func forgetParts(of artifact: ArtifactName) throws { try remember(.all, of: artifact) }

    /// What a call about `names` (or all) is to bring.
    ///
    /// - Throws: kind `.usage` for parts of other than one artifact.
    func wantedParts(_ names: [ArtifactName], _ extent: CheckoutExtent) throws -> [WantedParts] {
        guard extent.paths.isEmpty || names.count == 1, !(extent.isWhole && !extent.paths.isEmpty) else {
            throw MLOpsError(
                .usage, "`--path` needs one artifact that it is a part of, and no `--whole`",
                hint: "such as `mlops pull datasets/census --path train`")
        }
        return try disjointPointers(names).map { pointer in
            if extent.isWhole { return WantedParts(pointer: pointer, selection: .all) }
            let before = try selection(of: pointer.artifact)
            guard !extent.paths.isEmpty else { return WantedParts(pointer: pointer, selection: before) }
            return WantedParts(pointer: pointer, selection: PathSelection(before.paths + extent.paths))
        }
    }

    /// Refuses paths that the version does not have, whose listings are here.
    func checkPaths(_ extent: CheckoutExtent, of parts: [WantedParts]) throws {
        for part in parts {
            for path in extent.paths { _ = try store.part(path, of: part.pointer.content) }
        }
    }

    /// Notes what is wanted from now on, after it was checked out.
    func remember(_ parts: [WantedParts]) throws {
        for part in parts where try selection(of: part.pointer.artifact) != part.selection {
            try remember(part.selection, of: part.pointer.artifact)
        }
    }

    /// Recording a folder of which only parts are here would drop the rest from the artifact.
    func refuseParts(of artifact: ArtifactName, at path: RelativePath) throws {
        let selection = try selection(of: artifact)
        guard !selection.isAll else { return }
        let names = selection.paths.map { "`\($0)`" }.joined(separator: ", ")
        throw MLOpsError(
            .usage, "`\(path)` holds only parts of `\(artifact)` (\(names)): recording it would drop the rest",
            hint: "run `mlops pull \(artifact) --whole` first")
    }
}
