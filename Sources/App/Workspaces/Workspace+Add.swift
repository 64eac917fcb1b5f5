package import ArtifactRegistry
package import Basics
package import ContentStorage
internal import GitIntegration

/// What `mlops add` did.
package struct AddOutcome: Encodable, Sendable {
    package var artifact: ArtifactName
    package var path: RelativePath
    package var content: ContentRoot
    /// Bytes of the files; bytes of them that the store did not have; bytes that these took on disk.
    package var logicalBytes: Int64
    package var newBytes: Int64
    package var storedBytes: Int64
    /// Bytes that were recorded where they are and not copied.
    package var inPlaceBytes: Int64
    /// The files that were read, by path below `path`, if an explanation was asked for.
    package var files: [AddedFile]?
    /// Whether the pointer said all this before.
    package var isUnchanged: Bool
    /// The files that git should know of: the pointer, and the `.gitignore` if it changed.
    package var changedFiles: [String]
    /// Names that differ only in case or in how an accent is spelled: some systems cannot hold both.
    package var collisions: [String] = []
}

extension Workspace {
    /// Records the file or folder at `path` as an artifact: its content goes into the store, its pointer into `registry/`,
    /// its path into `.gitignore`.
    ///
    /// - Parameters:
    ///   - path: inside the project; not tracked by git, and neither inside nor around another artifact's path.
    ///   - name: the artifact's name; by default the one that `path` has already, or else one made from its last part.
    ///   - source: where the content comes from, for the pointer.
    ///   - isInPlace: leave the content in the workspace, with no second copy on this disk.
    ///   - explains: report what became of each file.
    package func add(
        _ path: RelativePath, as name: ArtifactName? = nil, source: String? = nil,
        isInPlace: Bool = false, explains: Bool = false, progress: ProgressHandler? = nil
    ) async throws -> AddOutcome {
        guard FileSystem.exists(absolute(path)) else {
            throw MLOpsError(
                .notFound, "there is no file or folder `\(path)`",
                hint: "check the name with `ls \(FileSystem.parent(of: path.description))`")
        }
        try Workspace.refuseReserved(path)
        let artifact = try self.artifact(for: path, named: name)
        try refuseTracked(path)
        try refuseParts(of: artifact, at: path)
        // Until the pointer names the content, a collection of garbage could take parts that were there before.
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let options = AddOptions(isInPlace: isInPlace, explains: explains, progress: progress)
        let report = try await store.add(path: absolute(path), options: options)
        let old = try pointer(of: artifact)
        let pointer = Pointer(artifact: artifact, path: path, content: report.root, source: source ?? old?.source)
        let isNew = try save(pointer)
        var changed = isNew ? [pointer.ownPath] : []
        if try git != nil, let file = try ignore(path: path, in: root) { changed.append(file) }
        return AddOutcome(
            artifact: artifact, path: path, content: report.root, logicalBytes: report.logicalByteCount,
            newBytes: report.newByteCount, storedBytes: report.storedByteCount, inPlaceBytes: report.inPlaceByteCount,
            files: report.files, isUnchanged: !isNew, changedFiles: changed,
            collisions: report.collisions)
    }

    /// The name to record `path` under, checked against every other pointer.
    func artifact(for path: RelativePath, named name: ArtifactName?) throws -> ArtifactName {
        let pointers = try pointers()
        try Workspace.refuseOverlaps(among: pointers)
        let existing = pointers.first { $0.path == path }
        if let existing, let name, name != existing.artifact {
            throw MLOpsError(
                .conflict, "`\(path)` is recorded as `\(existing.artifact)` already",
                hint: "leave out the name, or remove `\(existing.ownPath)` first")
        }
        for other in pointers where other.path != path {
            let (outer, inner) = (other.path.description + "/", path.description + "/")
            if inner.hasPrefix(outer) || outer.hasPrefix(inner) {
                throw MLOpsError(
                    .conflict, "`\(path)` overlaps `\(other.path)`, which is recorded as `\(other.artifact)`",
                    hint: "add `\(other.path)` again to record what changed in it")
            }
        }
        let artifact = try existing?.artifact ?? name ?? Workspace.defaultName(for: path)
        if let taken = pointers.first(where: { $0.artifact == artifact && $0.path != path }) {
            throw MLOpsError(
                .conflict, "`\(artifact)` is recorded at `\(taken.path)` already",
                hint: "choose another name: `mlops add \(path) --as \(artifact)-2`")
        }
        return artifact
    }

    private static let modelEndings: Set<String> = ["safetensors", "onnx", "pt", "pth", "gguf", "h5", "tflite"]

    /// `models/x` for model files and for what lies in `models/`, `datasets/x` for the rest; `x` is the last part of the
    /// path without its ending, in the letters that a name may have.
    static func defaultName(for path: RelativePath) throws -> ArtifactName {
        let last = path.lastPart
        let stem = last.split(separator: ".").first.map(String.init) ?? last
        let ending = last.contains(".") ? last.split(separator: ".").last.map(String.init) ?? "" : ""
        let isModel = modelEndings.contains(ending.lowercased()) || path.parts.first == "models"
        let name = stem.lowercased().map { character -> Character in
            character.isASCII && (character.isLetter || character.isNumber || "-_".contains(character))
                ? character : "-"
        }
        // A name starts with a letter or a digit.
        let start = name.drop { !$0.isLetter && !$0.isNumber }
        guard !start.isEmpty else {
            throw MLOpsError(
                .usage, "no name can be made from `\(path)`", hint: "give one: `mlops add \(path) --as datasets/<name>`"
            )
        }
        return try ArtifactName((isModel ? "models/" : "datasets/") + String(start))
    }

    /// Data that git tracks would be kept twice, and come back at each checkout of git.
    private func refuseTracked(_ path: RelativePath) throws {
        guard let git = try git, try git.isTracked(absolute(path)) else { return }
        throw MLOpsError(
            .usage, "`\(path)` is tracked by git",
            hint: "run `git rm -r --cached \(path)` first, so that mlops alone keeps it")
    }
}
