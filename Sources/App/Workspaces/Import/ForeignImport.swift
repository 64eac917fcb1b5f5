package import ArtifactRegistry
package import Basics
package import ContentStorage
internal import GitIntegration

/// What an import from another tool did, artifact by artifact, and what it could not do, line by line.
package struct ForeignImport: Encodable, Sendable {
    package struct Artifact: Encodable, Sendable {
        package var artifact: ArtifactName
        package var path: RelativePath
        /// The file of the other tool that named it.
        package var source: String
        package var fileCount: Int
        package var byteCount: Int64
        /// What was recorded; nil in a dry run.
        package var content: ContentRoot?
        /// Bytes that it took in the store.
        package var storedBytes: Int64
        package var isUnchanged: Bool
    }

    package struct Remark: Encodable, Sendable {
        /// What it is about: a path, or a file of the other tool.
        package var subject: String
        package var message: String
        package var hint: String?
        /// Whether something was not imported that should have been.
        package var isFailure: Bool
    }

    package var artifacts: [Artifact] = []
    package var remarks: [Remark] = []
    /// Files that git should know of.
    package var changedFiles: [String] = []
    package var removedFiles: [String] = []
    /// Commands of git that a person runs next.
    package var nextCommands: [String] = []
    package var isDryRun: Bool

    package var failureCount: Int { remarks.count(where: \.isFailure) }

    init(isDryRun: Bool) { self.isDryRun = isDryRun }

    mutating func note(_ subject: String, _ message: String, hint: String? = nil) {
        remarks.append(Remark(subject: subject, message: message, hint: hint, isFailure: false))
    }

    mutating func fail(_ subject: String, _ message: String, hint: String? = nil) {
        remarks.append(Remark(subject: subject, message: message, hint: hint, isFailure: true))
    }

    mutating func fail(_ subject: String, _ error: any Error) {
        let known = error as? MLOpsError
        fail(subject, known?.description ?? String(describing: error), hint: known?.hint)
    }
}

/// Names for what is imported, none of them given twice.
struct ImportNames {
    private var pathByName: [ArtifactName: RelativePath]
    private var nameByPath: [RelativePath: ArtifactName]

    init(_ pointers: [Pointer]) {
        pathByName = Dictionary(pointers.map { ($0.artifact, $0.path) }, uniquingKeysWith: { first, _ in first })
        nameByPath = Dictionary(pointers.map { ($0.path, $0.artifact) }, uniquingKeysWith: { first, _ in first })
    }

    /// The name that `path` has, or one made from it, with its folder's name or a number where that is taken.
    ///
    /// - Throws: kind `.conflict` if it lies inside or around another artifact's path.
    mutating func name(for path: RelativePath) throws -> ArtifactName {
        try Workspace.refuseReserved(path)
        if let name = nameByPath[path] { return name }
        for other in nameByPath.keys {
            let (outer, inner) = (other.description + "/", path.description + "/")
            if inner.hasPrefix(outer) || outer.hasPrefix(inner) {
                throw MLOpsError(
                    .conflict, "it overlaps `\(other)`, which is an artifact already",
                    hint: "remove the pointer of one of the two")
            }
        }
        let name = try freeName(for: path)
        pathByName[name] = path
        nameByPath[path] = name
        return name
    }

    private func freeName(for path: RelativePath) throws -> ArtifactName {
        // A name of letters that no artifact's name has, such as Chinese, still gets one.
        let plain =
            try (try? Workspace.defaultName(for: path))
            ?? ArtifactName("datasets/data-" + Digest.of(path.description).hex.prefix(8))
        if pathByName[plain] == nil { return plain }
        if path.parts.count > 1, let folder = try? RelativePath(path.parts.dropLast().joined(separator: "/")),
            let above = try? Workspace.defaultName(for: folder),
            let longer = try? ArtifactName("\(plain.kind)/\(above.name)-\(plain.name)"), pathByName[longer] == nil
        {
            return longer
        }
        for number in 2... {
            let numbered = try ArtifactName("\(plain)-\(number)")
            if pathByName[numbered] == nil { return numbered }
        }
        return plain
    }
}

extension Workspace {
    /// Stores `files` as the artifact `name` at `path`, writes its pointer and has git ignore it; in a dry run only says so.
    func importArtifact(
        _ name: ArtifactName, at path: RelativePath, as kind: ContentRoot.Kind, files: [ForeignFile], origin: String,
        source: String?, into report: inout ForeignImport, progress: ProgressHandler?
    ) async throws {
        var artifact = ForeignImport.Artifact(
            artifact: name, path: path, source: origin, fileCount: files.count, byteCount: 0, content: nil,
            storedBytes: 0, isUnchanged: false)
        if report.isDryRun {
            artifact.byteCount = try files.reduce(0) { try $0 + (FileStatus.of($1.source)?.size ?? 0) }
            artifact.isUnchanged = false
            return report.artifacts.append(artifact)
        }
        let lease = try await store.lease()
        defer { withExtendedLifetime(lease) {} }
        let added = try await store.add(foreign: files, as: kind, options: AddOptions(progress: progress))
        let old = readablePointers().pointers.first { $0.artifact == name }
        let pointer = Pointer(artifact: name, path: path, content: added.root, source: source ?? old?.source)
        artifact.isUnchanged = try !save(pointer)
        artifact.content = added.root
        artifact.byteCount = added.root.byteCount
        artifact.storedBytes = added.storedByteCount
        report.artifacts.append(artifact)
        if !artifact.isUnchanged { report.changedFiles.append(pointer.ownPath) }
        if try git != nil, FileSystem.isDirectory(FileSystem.parent(of: absolute(path))),
            let file = try ignore(path: path, in: root), !report.changedFiles.contains(file)
        {
            report.changedFiles.append(file)
        }
    }

    /// Whether the workspace's file at `path` may be executed.
    func isExecutable(_ path: String) -> Bool {
        guard let status = try? FileStatus.of(absolute(path)), status.kind == .file else { return false }
        return status.isExecutable
    }
}
