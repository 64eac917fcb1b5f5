internal import Basics
internal import Foundation

/// What a stage writes: before it starts, and after it ended.
extension StageExecution {
    /// Removes what an earlier run of the stage made, so that it cannot pass for new. What may be the user's own stays; it is
    /// returned with the time of its last change.
    func clearOutputs() async throws -> [String: Int64] {
        var untouched: [String: Int64] = [:]
        for output in stage.outputs {
            let path = FileSystem.join(pipeline.root, output.path)
            try refuseLinks(above: output)
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            if output.persists {
                try await bringBack(output, to: path)
                continue
            }
            guard FileSystem.exists(path) else { continue }
            if needed.hasRunBefore, try await isOwn(output) {
                try FileSystem.removeTree(path)
            } else {
                untouched[output.path] = try newestChange(path)
            }
        }
        return untouched
    }

    /// Whether what lies there is what an earlier run made: the store has it, or, where it keeps none, the last entry names it.
    private func isOwn(_ output: StagePath) async throws -> Bool {
        guard let known = try await lookup.store.identify(path: output.path) else { return false }
        if try await lookup.store.has(known) { return true }
        guard !output.isCached, let last = lastEntry else { return false }
        return last.outs.contains { $0.path == output.path && $0.digest == known.digest }
    }

    private var lastEntry: StageCacheEntry? {
        lookup.cache.lastFingerprint(pipeline: pipeline.name, stage: stage.name).flatMap { lookup.cache.entry($0) }
    }

    /// What a stage adds to is there before it starts, if it ever was.
    private func bringBack(_ output: StagePath, to path: String) async throws {
        guard !FileSystem.exists(path), let known = lastEntry?.outs.first(where: { $0.path == output.path }),
            try await lookup.store.has(known)
        else { return }
        try await lookup.store.restore(known, to: output.path)
    }

    /// A folder that is a link would carry the output, and the removal of an old one, to another place.
    private func refuseLinks(above output: StagePath) throws {
        var folder = pipeline.root
        for part in output.path.split(separator: "/").dropLast() {
            folder = FileSystem.join(folder, String(part))
            guard try FileStatus.of(folder)?.kind == .symlink else { continue }
            let link = folder.dropFirst(pipeline.root.count + 1)
            throw MLOpsError(
                .failed, "stage `\(stage.name)` writes `\(output.path)` through the link `\(link)`",
                hint: "write to a path without links; the command itself may link to it from elsewhere",
                at: output.location ?? stage.location)
        }
    }

    /// The latest change of `path` or of anything below it, in nanoseconds.
    private func newestChange(_ path: String) throws -> Int64 {
        guard let status = try FileStatus.of(path) else { return 0 }
        guard status.kind == .directory else { return status.changeNanoseconds }
        return try FileSystem.list(path).reduce(status.changeNanoseconds) {
            max($0, try newestChange(FileSystem.join(path, $1)))
        }
    }

    func checkOutputs(_ untouched: [String: Int64]) throws {
        var paths = stage.outputs.map(\.path)
        // A metrics file may lie inside of an output.
        for file in stage.metrics where !paths.contains(file.path) { paths.append(file.path) }
        let missing = paths.filter { !FileSystem.exists(FileSystem.join(pipeline.root, $0)) }
        if !missing.isEmpty {
            let names = missing.map { "`\($0)`" }.joined(separator: ", ")
            let error = MLOpsError(
                .failed, "stage `\(stage.name)` ended without writing \(names)",
                hint: "correct its `outs` and `metrics`, or make it write them", at: stage.location)
            throw Fault(error: error)
        }
        for (path, change) in untouched.sorted(by: { $0.key < $1.key })
        where try newestChange(FileSystem.join(pipeline.root, path)) == change {
            let error = MLOpsError(
                .failed, "stage `\(stage.name)` did not write `\(path)`, which was there before",
                hint: "move it away, then run the pipeline again", at: stage.location)
            throw Fault(error: error)
        }
    }

    /// What is kept is shared: a secret must not be in it.
    func refuseSecrets() throws {
        guard !stage.secrets.isEmpty else { return }
        for output in stage.outputs {
            guard let path = try fileWithSecret(FileSystem.join(pipeline.root, output.path)) else { continue }
            let name = printable(String(path.dropFirst(pipeline.root.count + 1)))
            let error = MLOpsError(
                .failed,
                "stage `\(stage.name)` wrote the value of a secret into `\(name)`, or calls it so: its outputs are not kept",
                hint: "what is kept is shared with others; remove the file, and make the command leave the secret out",
                at: stage.location)
            throw Fault(error: error, isFinal: true)
        }
    }

    /// The first file, folder or link at or below `path` that has a secret in its content, its target or its name.
    private func fileWithSecret(_ path: String) throws -> String? {
        guard let status = try FileStatus.of(path) else { return nil }
        let masker = masker
        if masker.finds(in: Array(path.utf8.dropFirst(pipeline.root.utf8.count))) { return path }
        switch status.kind {
        case .file: return try masker.finds(inFile: path) ? path : nil
        case .directory:
            for name in try FileSystem.list(path) {
                if let found = try fileWithSecret(FileSystem.join(path, name)) { return found }
            }
            return nil
        case .symlink:
            let target = try FileManager.default.destinationOfSymbolicLink(atPath: path)
            return masker.finds(in: Array(target.utf8)) ? path : nil
        default: return nil
        }
    }

    func keepOutputs() async throws -> [StoredOutput] {
        var kept: [StoredOutput] = []
        for output in stage.outputs {
            var stored: StoredOutput
            if output.isCached {
                stored = try await lookup.store.keep(path: output.path)
            } else if let found = try await lookup.store.identify(path: output.path) {
                stored = found
                stored.isKept = false
            } else {
                throw MLOpsError(.failed, "`\(output.path)` went away while its stage ended", at: stage.location)
            }
            stored.path = output.path
            kept.append(stored)
        }
        return kept
    }

    /// A dependency that is not what it was when the stage started.
    func changedInput() async throws -> String? {
        guard let before = needed.ingredients.json["deps"]?.object else { return nil }
        for (path, value) in before.sorted(by: { $0.key < $1.key }) {
            let now = try await lookup.store.identify(path: path)
            if now.map({ "\($0.kind):\($0.digest)" }) != value.string { return path }
        }
        return nil
    }
}
