internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import GitIntegration
package import Pipelines

/// What `mlops run rm` removes or would remove.
package struct RunRemovalReport: Sendable, Encodable {
    package struct Run: Sendable, Encodable {
        package var id: String
        package var byteCount: Int64
    }

    package var runs: [Run]
    package var byteCount: Int64
    package var isDryRun: Bool
    /// Registry versions that were published by one of the runs.
    package var versions: [String]
    /// Outputs that only these runs name: the next `mlops gc` may remove them.
    package var outputCount: Int
    package var outputByteCount: Int64
}

extension Workspace {
    package var runHistory: RunHistory { RunHistory(workspace: folder) }

    /// The record that `text` means: an id, a part of one, `latest`, or a file.
    package func recordedRun(_ text: String, from directory: String) throws -> RecordedRun {
        if text.hasSuffix(".json") {
            let path = FileSystem.absolute(text, from: directory)
            return try RecordedRun(try JSONValue(parsing: try FileSystem.read(path), source: text), source: text)
        }
        return try runHistory.record(try runHistory.id(of: text))
    }

    /// Removes records of runs with their logs; what they made stays in the store until `gc`.
    ///
    /// - Throws: kind `.conflict` for a run that has not ended, `.refused` for one that a version of the registry was
    ///   published by, unless `force`.
    package func removeRuns(_ ids: [String], dryRun: Bool, force: Bool) async throws -> RunRemovalReport {
        let kept = try KeptOutputs(workspace: folder, skipping: Set(ids))
        let other = Set((kept.cacheEntries + kept.runs).flatMap(\.outputs).map(\.digest))
        var versions: [String] = []
        for history in try await registry.histories() {
            versions += history.versions.filter { $0.run.map { ids.contains($0) } ?? false }
                .map { "\(history.artifact)@v\($0.version)" }
        }
        var report = RunRemovalReport(
            runs: [], byteCount: 0, isDryRun: dryRun, versions: versions.sorted(), outputCount: 0, outputByteCount: 0)
        var counted: Set<Digest> = []
        for id in ids {
            let path = FileSystem.join(runHistory.folder, id)
            let size = try byteCount(below: path)
            report.runs.append(.init(id: id, byteCount: size))
            report.byteCount += size
            guard let run = try? runHistory.record(id) else { continue }
            if run.outcome == nil, await isGoingOn(run) {
                throw MLOpsError(
                    .conflict, "run `\(id)` is going on",
                    hint: "wait for it to end, or interrupt it; nothing was removed")
            }
            for out in run.stages.flatMap({ $0.json["outs"]?.array ?? [] }) {
                guard let digest = out["digest"]?.string.flatMap({ Digest($0) }), !other.contains(digest),
                    counted.insert(digest).inserted
                else { continue }
                report.outputCount += 1
                report.outputByteCount += Int64(out["byteCount"]?.integer ?? 0)
            }
        }
        if dryRun { return report }
        if let version = report.versions.first, !force {
            throw MLOpsError(
                .refused, "`\(version)` was published by one of these runs; nothing was removed",
                hint: "its lineage would lead nowhere: add --force if that is meant")
        }
        for id in ids { try FileSystem.removeTree(FileSystem.join(runHistory.folder, id)) }
        return report
    }

    /// Whether the pipeline's lock is held, so that a record without an outcome may belong to a living process.
    private func isGoingOn(_ run: RecordedRun) async -> Bool {
        let path = FileSystem.join(folder, "cache/\(run.pipeline).lock")
        guard FileSystem.exists(path) else { return false }
        do {
            withExtendedLifetime(try await FileLock(path, .exclusive)) {}
            return false
        } catch {
            return true
        }
    }

    private func byteCount(below path: String) throws -> Int64 {
        guard let status = try FileStatus.of(path) else { return 0 }
        guard status.kind == .directory else { return status.size }
        return try FileSystem.list(path).reduce(0) { $0 + (try byteCount(below: FileSystem.join(path, $1))) }
    }

    /// The run that a report compares with: `text` if given, else the newest that succeeded on what the branch started from.
    ///
    /// - Parameter base: the base branch, such as `main`; from the CI's variables if nil.
    package func baseline(
        _ text: String?, for run: RecordedRun, base: String? = nil, from directory: String
    ) throws
        -> RecordedRun?
    {
        if let text { return try recordedRun(text, from: directory) }
        let variables = environment.variables
        let names = ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"].compactMap { variables[$0] }
        guard let branch = base ?? names.first(where: { !$0.isEmpty }) ?? defaultBranch() else { return nil }
        var commits: Set<String> = []
        if let git = try git {
            let program = GitProgram(in: git.workingTree)
            for name in ["origin/\(branch)", branch] {
                if let id = try? program.mergeBase(with: name) { commits.insert(id) }
            }
        }
        return try runHistory.all().runs.last { other in
            other.id != run.id && other.pipeline == run.pipeline && other.outcome == .succeeded && !other.isDirty
                && (other.branch == branch || other.commit.map { commits.contains($0) } ?? false)
        }
    }

    private func defaultBranch() -> String? {
        guard let git = try? git else { return nil }
        let name = try? GitProgram(in: git.workingTree).text(["symbolic-ref", "--short", "refs/remotes/origin/HEAD"])
        return name.map { $0.hasPrefix("origin/") ? String($0.dropFirst(7)) : $0 } ?? "main"
    }

    /// The changes of tracked files that a run is about to happen on; nil if there are none.
    package func dirtyPatch() throws -> [UInt8]? {
        guard let git = try git, try git.isDirty(), try git.head().commit != nil else { return nil }
        let bytes = try GitProgram(in: git.workingTree).patch()
        return bytes.isEmpty ? nil : bytes
    }
}
