package import ArtifactRegistry
package import Basics
package import ContentStorage
internal import GitIntegration
internal import Pipelines

/// `registry/<kind>/<name>.yaml`: which content of an artifact belongs to this commit, and where it lies in the workspace.
package struct Pointer: Sendable, Hashable {
    package var artifact: ArtifactName
    /// Where the content lies, from the project's root.
    package var path: RelativePath
    package var content: ContentRoot
    /// Where it came from: a folder or an address of an import, or the pipeline and stage that made it.
    package var source: String?

    package init(artifact: ArtifactName, path: RelativePath, content: ContentRoot, source: String? = nil) {
        self.artifact = artifact
        self.path = path
        self.content = content
        self.source = source
    }

    /// The pointer's own path, from the project's root.
    package static func path(of artifact: ArtifactName) -> String { "registry/\(artifact).yaml" }

    package var ownPath: String { Pointer.path(of: artifact) }
}

extension Pointer {
    private static let keys = ["path", "digest", "kind", "size", "files", "from"]

    /// Reads the text of a pointer.
    ///
    /// - Throws: kind `.usage` with file and line for anything but a complete pointer.
    init(artifact: ArtifactName, text: String, file: String) throws {
        if let line = text.split(separator: "\n", omittingEmptySubsequences: false)
            .firstIndex(where: { $0.hasPrefix("<<<<<<< ") })
        {
            throw MLOpsError(
                .usage, "the pointer of `\(artifact)` has an unresolved merge conflict",
                hint: "take a side with `git checkout --ours \(file)` or `--theirs`, then run `mlops checkout`",
                at: SourceLocation(path: file, line: line + 1))
        }
        let map = try YAML.parse(text, file: file).map()
        try map.rejectUnknownKeys(Pointer.keys, of: "a pointer")
        let digestNode = try map.required("digest", of: "a pointer")
        guard let digest = Digest(try digestNode.string()) else {
            throw MLOpsError(
                .usage, "digest `\(digestNode.text)` is not `sha256:` and 64 hex digits",
                hint: "restore the file with `git checkout -- \(file)`", at: digestNode.location)
        }
        let kindNode = try map.required("kind", of: "a pointer")
        guard let kind = ContentRoot.Kind(rawValue: try kindNode.string()) else {
            throw MLOpsError(.usage, "kind `\(kindNode.text)` is neither `file` nor `tree`", at: kindNode.location)
        }
        let pathNode = try map.required("path", of: "a pointer")
        let path: RelativePath
        do {
            path = try RelativePath(try pathNode.string())
            try Workspace.refuseReserved(path)
        } catch let error as MLOpsError {
            throw MLOpsError(error.kind, error.message, hint: error.hint, at: pathNode.location)
        }
        self.init(
            artifact: artifact, path: path,
            content: ContentRoot(
                digest: digest, kind: kind, byteCount: Int64(try map.required("size", of: "a pointer").int()),
                fileCount: try map.required("files", of: "a pointer").int()),
            source: try map.string("from"))
    }

    /// The text of the pointer: the same pointer gives the same bytes.
    var text: String {
        var entries: [(String, YAMLValue)] = [
            ("path", .string(path.description)), ("digest", .string(content.digest.description)),
            ("kind", .string(content.kind.rawValue)), ("size", .int(content.byteCount)),
            ("files", .int(Int64(content.fileCount))),
        ]
        if let source { entries.append(("from", .string(source))) }
        return YAMLWriter.text(of: .map(entries))
    }
}

extension Workspace {
    /// The pointers in the work tree, by artifact.
    ///
    /// - Throws: kind `.usage` for a file under `registry/` that is no pointer: silence would hide data.
    package func pointers() throws -> [Pointer] {
        let files = try pointerFiles(below: "registry")
        if let path = files.misnamed.first { throw Workspace.misnamedPointer(path) }
        return try files.named.map { artifact, path in
            try Pointer(artifact: artifact, text: try pointerText(path), file: path)
        }
    }

    /// The pointers that can be read, and what is wrong with the others: for work that must not stop at one of them.
    func readablePointers() -> (pointers: [Pointer], faults: [(artifact: ArtifactName, error: any Error)]) {
        var pointers: [Pointer] = []
        var faults: [(artifact: ArtifactName, error: any Error)] = []
        for (artifact, path) in (try? pointerFiles(below: "registry"))?.named ?? [] {
            do {
                pointers.append(
                    try Pointer(artifact: artifact, text: try pointerText(path), file: path))
            } catch {
                faults.append((artifact, error))
            }
        }
        return (pointers, faults)
    }

    /// Data must not lie where the pointers and the configuration do: a pointer from elsewhere could replace them.
    static func refuseReserved(_ path: RelativePath) throws {
        let last = path.lastPart.lowercased()
        if [".gitignore", ".gitattributes", ".gitmodules"].contains(last) {
            throw MLOpsError(
                .usage, "path `\(printable(path.description))` is a file that git itself reads",
                hint: "let git keep it: `git add \(path)`")
        }
        guard path.parts.first?.lowercased() == "registry" else { return }
        throw MLOpsError(
            .usage, "path `\(printable(path.description))` lies inside `registry`, which holds the pointers",
            hint: "use another folder, such as `data`")
    }

    /// The pointer of `artifact`, or nil if it has none.
    package func pointer(of artifact: ArtifactName) throws -> Pointer? {
        let path = Pointer.path(of: artifact)
        guard FileSystem.exists(absolute(path)) else { return nil }
        return try Pointer(artifact: artifact, text: try pointerText(path), file: path)
    }

    /// The pointer of `artifact`.
    ///
    /// - Throws: kind `.notFound` with the nearest known name.
    package func requirePointer(of artifact: ArtifactName) throws -> Pointer {
        if let pointer = try pointer(of: artifact) { return pointer }
        let known = try pointers().map(\.artifact.description)
        let near = nearestName(to: artifact.description, among: known).map { "did you mean `\($0)`? " } ?? ""
        throw MLOpsError(
            .notFound, "there is no pointer `\(Pointer.path(of: artifact))`",
            hint: near + "run `mlops status` to see the \(Format.count(known.count, "artifact")) of this project")
    }

    /// The pointer whose content lies at `path`, or nil.
    package func pointer(at path: RelativePath) throws -> Pointer? { try pointers().first { $0.path == path } }

    /// The pointers as git's `revision` has them.
    package func pointers(at revision: String) throws -> [Pointer] {
        let git = try requireGit()
        let prefix = try gitPath(of: "registry")
        return try git.files(under: prefix, at: revision).sorted().compactMap { file in
            let path = "registry/" + file.dropFirst(prefix.count + 1)
            guard let artifact = Workspace.artifact(ofPointerAt: path), let bytes = try git.file(file, at: revision)
            else { return nil }
            return try Pointer(
                artifact: artifact, text: String(decoding: bytes, as: UTF8.self), file: "\(revision):\(path)")
        }
    }

    /// Writes a pointer, all or nothing; false if the file said the same already.
    @discardableResult
    package func save(_ pointer: Pointer) throws -> Bool {
        let path = absolute(pointer.ownPath)
        let text = pointer.text
        if try FileStatus.of(path)?.kind == .file, try FileSystem.readText(path) == text {
            try FileSystem.synchronize(path)
            return false
        }
        try FileSystem.replace(pointer.ownPath, below: root, with: Array(text.utf8))
        return true
    }

    /// The artifact whose pointer is `registry/<kind>/<name>.yaml`; nil for the configuration and for other files.
    static func artifact(ofPointerAt path: String) -> ArtifactName? {
        guard path.hasPrefix("registry/"), path.hasSuffix(".yaml") else { return nil }
        return try? ArtifactName(String(path.dropFirst("registry/".count).dropLast(".yaml".count)))
    }

    /// The text of a pointer.
    ///
    /// - Throws: kind `.usage` for what is no regular file or longer than any pointer.
    func pointerText(_ path: String) throws -> String {
        let status = try FileStatus.of(absolute(path))
        guard let status, status.kind == .file, status.size <= Int64(YAMLLimits().byteCount) else {
            throw MLOpsError(
                .usage, "`\(path)` is no regular file of at most 1 MiB",
                hint: "restore it with `git checkout -- \(path)`")
        }
        return try FileSystem.readText(absolute(path))
    }

    /// The surrounding repository.
    func requireGit() throws -> GitRepository {
        guard let git = try git else {
            throw MLOpsError(
                .failed, "`\(root)` is not in a git repository", hint: "run `git init`, and commit what you have")
        }
        return git
    }

    /// `path` of the project as git names it, from the root of git's work tree.
    func gitPath(of path: String) throws -> String {
        let tree = try requireGit().workingTree
        let absolute = self.absolute(path)
        let prefix = tree.hasSuffix("/") ? tree : tree + "/"
        return absolute.hasPrefix(prefix) ? String(absolute.dropFirst(prefix.count)) : path
    }
}
