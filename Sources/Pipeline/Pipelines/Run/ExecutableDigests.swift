internal import Basics
internal import Synchronization

/// Finds programs as `execvp` does, and knows their digests from `.mlops/cache/executables.json` while they stay unchanged.
final class ExecutableDigests: Sendable {
    private struct State {
        /// By path: `[size, mtime, ctime, inode, digest]`.
        var known: [String: [JSONValue]]?
        var isChanged = false
        var resolved: [String: String] = [:]
    }

    private let path: String
    private let root: String
    private let state = Mutex(State())

    init(workspace: String, root: String) {
        path = FileSystem.join(workspace, "cache/executables.json")
        self.root = root
    }

    /// The file that `program` names: with a slash a path relative to the root, else the first in `searchPath`.
    ///
    /// - Throws: kind `.failed` if there is none, or it cannot be executed.
    func find(_ program: String, searchPath: String?, stage: Stage) throws -> String {
        let key = "\(searchPath ?? "")\u{0}\(program)"
        if let known = state.withLock({ $0.resolved[key] }) { return known }
        let candidates =
            program.contains("/")
            ? [FileSystem.absolute(program, from: root)]
            : (searchPath ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").map {
                FileSystem.absolute(FileSystem.join(String($0), program), from: root)
            }
        guard let found = candidates.first(where: { isExecutable($0) }) else {
            let exists = candidates.contains { FileSystem.exists($0) }
            throw MLOpsError(
                .failed,
                "stage `\(stage.name)` starts `\(printable(program))`, which \(exists ? "is not executable" : "does not exist")",
                hint: exists
                    ? "run `chmod +x \(program)`"
                    : program.contains("/")
                        ? "paths are relative to the repository's folder" : "install it, or check PATH",
                at: stage.location)
        }
        state.withLock { $0.resolved[key] = found }
        return found
    }

    private func isExecutable(_ path: String) -> Bool {
        guard let status = try? FileStatus.following(path) else { return false }
        return status.kind == .file && status.isExecutable
    }

    /// The digest of the program's bytes; links are followed.
    func digest(of program: String) throws -> Digest {
        guard let status = try FileStatus.following(program) else {
            throw MLOpsError(.notFound, "the program `\(program)` does not exist")
        }
        let key: [JSONValue] = [
            .int(status.size), .int(status.modificationNanoseconds), .int(status.changeNanoseconds),
            .int(Int64(bitPattern: status.inode)),
        ]
        let known = state.withLock { state -> Digest? in
            if state.known == nil { state.known = load() }
            guard let entry = state.known?[program], Array(entry.dropLast()) == key else { return nil }
            return entry.last?.string.flatMap { Digest($0) }
        }
        if let known { return known }
        let digest = try Digest.of(OpenFile(reading: program))
        state.withLock { state in
            // A file of the last two seconds may change again within the same tick of its clock.
            guard Timestamp.now.milliseconds - status.changeNanoseconds / 1_000_000 > 2000 else { return }
            state.known?[program] = key + [.string(digest.description)]
            state.isChanged = true
        }
        return digest
    }

    /// Writes what was learnt; a failure costs time only.
    func save() {
        let members = state.withLock { state -> [String: JSONValue]? in
            guard state.isChanged, let known = state.known else { return nil }
            state.isChanged = false
            return known.mapValues(JSONValue.array)
        }
        guard let members else { return }
        try? FileSystem.createDirectories(FileSystem.parent(of: path))
        try? FileSystem.replaceUnflushed(path, with: JSONValue.object(members).canonicalBytes)
    }

    private func load() -> [String: [JSONValue]] {
        guard let bytes = try? FileSystem.read(path), let json = try? JSONValue(parsing: bytes, source: path) else {
            return [:]
        }
        return (json.object ?? [:]).compactMapValues(\.array)
    }
}
