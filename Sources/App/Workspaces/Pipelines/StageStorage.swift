internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import Pipelines

/// The content store as pipelines see it: outputs by path.
struct StageStorage: StageStore {
    let workspace: Workspace

    func identify(path: String) async throws -> StoredOutput? {
        let absolute = workspace.absolute(path)
        guard FileSystem.exists(absolute) else { return nil }
        return StoredOutput(try await workspace.store.identify(path: absolute, youngFiles: .readAgain), path: path)
    }

    func listing(path: String) async throws -> [String: Digest]? {
        let files = try await workspace.store.currentListing(of: workspace.absolute(path))
        return files.map { Dictionary($0.map { ($0.path, $0.digest) }, uniquingKeysWith: { $1 }) }
    }

    func keep(path: String) async throws -> StoredOutput {
        var options = AddOptions()
        // A chain of quick stages would wait 20 ms for each.
        options.youngFiles = .readAgain
        let report = try await workspace.store.add(path: workspace.absolute(path), options: options)
        return StoredOutput(report.root, path: path)
    }

    func restore(_ output: StoredOutput, to path: String) async throws {
        let absolute = workspace.absolute(path)
        try FileSystem.createDirectories(FileSystem.parent(of: absolute))
        // An output belongs to its stage: what lies there was made by an earlier run and may be replaced.
        var options = CheckoutOptions(force: true)
        options.youngFiles = .readAgain
        _ = try await workspace.store.checkout(ContentRoot(output), to: absolute, options: options)
    }

    func has(_ output: StoredOutput) async throws -> Bool { try workspace.store.contains(ContentRoot(output)) }

    func artifactDigest(_ name: String) async throws -> String? {
        try workspace.pointer(of: try .init(name))?.content.digest.description
    }

    func recovery(of path: String) async -> String? {
        guard let relative = try? RelativePath(path), let pointers = try? workspace.pointers() else { return nil }
        let owner = pointers.first {
            FileSystem.contains(relative.description, $0.path.description)
                || FileSystem.contains($0.path.description, relative.description)
        }
        return owner.map { pointer in
            let isStored = (try? workspace.store.contains(pointer.content)) == true
            return "run `mlops \(isStored ? "checkout" : "pull") \(pointer.artifact)`"
        }
    }
}

extension StoredOutput {
    init(_ root: ContentRoot, path: String) {
        self.init(
            path: path, digest: root.digest, kind: root.kind.rawValue, byteCount: root.byteCount,
            fileCount: root.fileCount)
    }
}

extension ContentRoot {
    init(_ output: StoredOutput) {
        self.init(
            digest: output.digest, kind: output.kind == Kind.tree.rawValue ? .tree : .file, byteCount: output.byteCount,
            fileCount: output.fileCount)
    }
}
