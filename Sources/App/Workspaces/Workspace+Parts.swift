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
    /// What the call is to make right.
    var selection: PathSelection
    /// Whether all of it was wanted until now, and parts alone are asked for.
    var wasWhole = false
    /// Whether parts alone were wanted until now, so that files with content that is stored nowhere stay as they are.
    var becomesWhole = false
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

    /// What of `pointer` this workspace wants.
    func wanted(of pointer: Pointer) throws -> WantedParts {
        WantedParts(pointer: pointer, selection: try selection(of: pointer.artifact))
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
        var parts: [WantedParts] = []
        for pointer in try disjointPointers(names) {
            let before = try selection(of: pointer.artifact)
            if extent.isWhole {
                parts.append(WantedParts(pointer: pointer, selection: .all, becomesWhole: !before.isAll))
            } else if extent.paths.isEmpty {
                parts.append(WantedParts(pointer: pointer, selection: before))
            } else {
                let selection = PathSelection(before.paths + extent.paths)
                parts.append(WantedParts(pointer: pointer, selection: selection, wasWhole: before.isAll))
            }
        }
        return parts
    }

    /// Whether the workspace has any file of the version besides `parts`, or the version has none.
    private func isHere(beyond parts: PathSelection, _ pointer: Pointer) throws -> Bool {
        let others = try store.paths(of: pointer.content, outside: parts)
        let root = absolute(pointer.path)
        return others.isEmpty || others.contains { FileSystem.exists(FileSystem.join(root, $0)) }
    }

    /// What a checkout may make right where parts of an artifact become all of it: everything but files with content that is
    /// stored nowhere, as `add` sends whoever changed a part here.
    func selectionSparingChanges(of pointer: Pointer) async throws -> PathSelection {
        let root = absolute(pointer.path)
        guard pointer.content.kind == .tree, FileSystem.isDirectory(root) else { return .all }
        let changes = try await store.compare(pointer.content, with: root)
        var others: Set<RelativePath> = []
        var isFolderAbsent: [RelativePath: Bool] = [:]
        /// The outermost of the folders around `file` that are not there, so that few paths name many files.
        func outermost(_ file: RelativePath) throws -> RelativePath {
            var path = file
            while case let folder = FileSystem.parent(of: path.description), folder != "." {
                let next = try RelativePath(folder)
                let isAbsent = isFolderAbsent[next] ?? !FileSystem.exists(FileSystem.join(root, folder))
                isFolderAbsent[next] = isAbsent
                guard isAbsent else { break }
                path = next
            }
            return path
        }
        var spared: RelativePath?
        for change in changes {
            // A name that no version could have stays out of it.
            guard let path = try? RelativePath(change.path) else { continue }
            if let found = change.newDigest,
                try !store.contains(
                    ContentRoot(digest: found, kind: .file, byteCount: change.newByteCount ?? 0, fileCount: 1))
            {
                spared = path
            } else {
                others.insert(try outermost(path))
            }
        }
        guard let spared else { return .all }
        // No path at all would mean everything; below a file there is nothing.
        if others.isEmpty { others.insert(try spared.appending("-")) }
        return PathSelection(Array(others))
    }

    /// Refuses paths that the version does not have, whose listings are here.
    func checkPaths(_ extent: CheckoutExtent, of parts: [WantedParts]) throws {
        for part in parts {
            for path in extent.paths { _ = try store.part(path, of: part.pointer.content) }
        }
    }

    /// Notes what is wanted from now on, after it was checked out.
    func remember(_ parts: [WantedParts]) throws {
        for part in parts {
            // Parts of what is here as a whole leave it wanted as a whole. Only now are the listings here that tell.
            let staysWhole = try part.wasWhole && isHere(beyond: part.selection, part.pointer)
            let wanted = staysWhole ? .all : part.selection
            if try selection(of: part.pointer.artifact) != wanted { try remember(wanted, of: part.pointer.artifact) }
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
