package import Basics

/// The outputs that the stage cache and the records of runs name, for whoever decides what content is still needed.
package struct KeptOutputs: Sendable {
    package struct Item: Sendable {
        /// For people.
        package var name: String
        /// The file of a cache entry, or the folder of a run.
        package var path: String
        /// The run that made it.
        package var run: String
        /// When it was made or last written.
        package var time: Timestamp
        package var outputs: [StoredOutput]
        /// Of a cache entry: what its stage last succeeded with. Of a run: it has not ended yet.
        package var isCurrent: Bool
    }

    package private(set) var cacheEntries: [Item] = []
    /// The oldest first.
    package private(set) var runs: [Item] = []
    /// Cache entries that cannot be read, which nobody can use.
    package private(set) var brokenEntries: [String] = []

    /// Reads all of them.
    ///
    /// - Parameters:
    ///   - workspace: the folder `.mlops`.
    ///   - skipping: ids of runs that do not count.
    /// - Throws: kind `.damaged` naming the record of a run that cannot be read, `.failed` for what a newer program wrote.
    package init(workspace: String, skipping: Set<String> = []) throws {
        let cache = FileSystem.join(workspace, "cache")
        try readCache(FileSystem.join(cache, "stages"), latest: try KeptOutputs.latest(below: "\(cache)/last"))
        try readRuns(FileSystem.join(workspace, "runs"), skipping)
    }

    /// The fingerprints with which stages last succeeded.
    private static func latest(below folder: String) throws -> Set<Digest> {
        guard FileSystem.isDirectory(folder) else { return [] }
        var found: Set<Digest> = []
        for name in try FileSystem.list(folder) where !name.hasPrefix(".") {
            let path = FileSystem.join(folder, name)
            if FileSystem.isDirectory(path) {
                found.formUnion(try latest(below: path))
            } else if let text = try? FileSystem.readText(path), let digest = Digest(text.prefix { $0 != "\n" }) {
                found.insert(digest)
            }
        }
        return found
    }

    private static func written(_ path: String) throws -> Timestamp {
        Timestamp(milliseconds: (try FileStatus.of(path)?.modificationNanoseconds ?? 0) / 1_000_000)
    }

    private mutating func readCache(_ folder: String, latest: Set<Digest>) throws {
        guard FileSystem.isDirectory(folder) else { return }
        for name in try FileSystem.list(folder) where !name.hasPrefix(".") && name.hasSuffix(".json") {
            let path = FileSystem.join(folder, name)
            let bytes = try? FileSystem.read(path)
            let json = bytes.flatMap { try? JSONValue(parsing: $0, source: path) }
            if let format = json?["format"]?.integer, format > Int(StageCacheEntry.format) { throw newer(path, format) }
            guard let bytes, let json, let fingerprint = Digest(name.dropLast(5)),
                let entry = StageCacheEntry(json, of: bytes, fingerprint: fingerprint)
            else {
                brokenEntries.append(path)
                continue
            }
            cacheEntries.append(
                Item(
                    name:
                        "cached stage `\(entry.stage)` of `\(entry.pipeline)`, \(entry.created.description.prefix(10))",
                    path: path, run: entry.run, time: max(entry.created, try KeptOutputs.written(path)),
                    outputs: entry.outs.filter(\.isKept), isCurrent: latest.contains(fingerprint)))
        }
    }

    private mutating func readRuns(_ folder: String, _ skipped: Set<String>) throws {
        guard FileSystem.isDirectory(folder) else { return }
        for id in try FileSystem.list(folder) where !id.hasPrefix(".") && !skipped.contains(id) {
            let path = FileSystem.join(folder, id)
            let record = FileSystem.join(path, "run.json")
            // A run that has just started has no record yet.
            guard FileSystem.isDirectory(path), FileSystem.exists(record) else { continue }
            let json: JSONValue
            do { json = try JSONValue(parsing: try FileSystem.read(record), source: record) } catch {
                throw unreadable(record, cause: error)
            }
            if let format = json["format"]?.integer, format > 1 { throw newer(record, format) }
            guard json.isIntact != false, let stages = json["stages"]?.array else {
                throw unreadable(record, cause: nil)
            }
            var outputs: [StoredOutput] = []
            for out in stages.flatMap({ $0["outs"]?.array ?? [] }) {
                guard let output = StoredOutput(out) else { throw unreadable(record, cause: nil) }
                if output.isKept { outputs.append(output) }
            }
            runs.append(
                Item(
                    name: "run `\(id)`", path: path, run: id, time: try KeptOutputs.written(record), outputs: outputs,
                    isCurrent: json["outcome"] == nil))
        }
    }

    private func unreadable(_ path: String, cause: (any Error)?) -> MLOpsError {
        MLOpsError(
            .damaged, "`\(path)` is not the record of a run",
            hint: "remove its folder if the run does not matter: only its history is lost", cause: cause)
    }

    private func newer(_ path: String, _ format: Int) -> MLOpsError {
        MLOpsError(
            .failed, "`\(path)` has format \(format), written by a newer mlops",
            hint: "update `mlops`; this one reads 1")
    }
}
