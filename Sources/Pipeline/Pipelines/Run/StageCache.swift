internal import Basics
internal import Synchronization

/// What a stage made when it last succeeded with one fingerprint.
struct StageCacheEntry: Sendable {
    static let format: Int64 = 1

    var fingerprint: Digest
    var pipeline: String
    var stage: String
    var run: String
    var created: Timestamp
    var ingredients: JSONValue
    /// Parameters that were put into its keys, by path.
    var parameters: [String: JSONValue]
    var outs: [StoredOutput]
    var metrics: JSONValue?
    var energy: JSONValue?
    var duration: Duration
    var effects: JSONValue?

    /// With a checksum: what a flipped bit made of a metric or a digest must not be believed.
    var json: JSONValue {
        var members: [String: JSONValue] = [
            "format": .int(StageCacheEntry.format), "fingerprint": .string(fingerprint.description),
            "pipeline": .string(pipeline), "stage": .string(stage), "run": .string(run),
            "created": .string(created.description), "ingredients": ingredients, "parameters": .object(parameters),
            "outs": .array(outs.map(\.json)), "seconds": .double(duration.seconds),
        ]
        members["metrics"] = metrics
        members["energy"] = energy
        members["effects"] = effects
        return JSONValue.object(members).sealed
    }

    /// nil for what is no entry of this format, is not what was written, or not that of `fingerprint`.
    ///
    /// - Parameter text: what `json` was read from.
    init?(_ json: JSONValue, of text: [UInt8], fingerprint: Digest) {
        guard json["format"]?.integer == 1, json.isIntact(as: text) == true,
            json["fingerprint"]?.string == fingerprint.description,
            let pipeline = json["pipeline"]?.string, let stage = json["stage"]?.string, let run = json["run"]?.string,
            let created = json["created"]?.string.flatMap(Timestamp.init), let ingredients = json["ingredients"],
            let outs = json["outs"]?.array, let seconds = json["seconds"]?.number, seconds.isFinite, seconds >= 0
        else { return nil }
        self.fingerprint = fingerprint
        self.pipeline = pipeline
        self.stage = stage
        self.run = run
        self.created = created
        self.ingredients = ingredients
        parameters = json["parameters"]?.object ?? [:]
        self.outs = outs.compactMap(StoredOutput.init)
        guard self.outs.count == outs.count else { return nil }
        metrics = json["metrics"]
        energy = json["energy"]
        duration = .seconds(seconds)
        effects = json["effects"]
    }

    init(
        fingerprint: Digest, pipeline: String, stage: String, run: String, created: Timestamp, ingredients: JSONValue,
        parameters: [String: JSONValue], outs: [StoredOutput], metrics: JSONValue?, energy: JSONValue?,
        duration: Duration, effects: JSONValue?
    ) {
        self.fingerprint = fingerprint
        self.pipeline = pipeline
        self.stage = stage
        self.run = run
        self.created = created
        self.ingredients = ingredients
        self.parameters = parameters
        self.outs = outs
        self.metrics = metrics
        self.energy = energy
        self.duration = duration
        self.effects = effects
    }
}

extension StoredOutput {
    init?(_ json: JSONValue) {
        guard let path = json["path"]?.string, (try? RelativePath(path)) != nil,
            let digest = json["digest"]?.string.flatMap({ Digest($0) }), let kind = json["kind"]?.string,
            let byteCount = json["byteCount"]?.integer, let fileCount = json["fileCount"]?.integer
        else { return nil }
        self.init(path: path, digest: digest, kind: kind, byteCount: Int64(byteCount), fileCount: fileCount)
        isKept = json["kept"] != .bool(false)
    }
}

/// The folder `.mlops/cache`: what stages made, by fingerprint, and each stage's last fingerprint.
///
/// A lost or broken entry costs a run of its stage, nothing else: entries are replaced atomically, but not flushed.
struct StageCache: Sendable {
    let folder: String
    private var readAhead: ReadAhead?

    /// - Parameter workspace: the folder `.mlops`.
    init(workspace: String) { folder = FileSystem.join(workspace, "cache") }

    /// The entry of `fingerprint`; nil if there is none or it cannot be read.
    func entry(_ fingerprint: Digest) -> StageCacheEntry? { readAhead?.take(fingerprint) ?? read(fingerprint) }

    private func read(_ fingerprint: Digest) -> StageCacheEntry? {
        let path = path(of: fingerprint)
        guard let bytes = try? FileSystem.read(path), let json = try? JSONValue(parsing: bytes, source: path) else {
            return nil
        }
        return StageCacheEntry(json, of: bytes, fingerprint: fingerprint)
    }

    func store(_ entry: StageCacheEntry) throws {
        try place(entry.json.canonicalBytes, at: path(of: entry.fingerprint))
    }

    /// This cache, with the stages' last entries read beside other work, in that order: which entry a stage needs is known
    /// only when those before it are, and then it is most likely the last one.
    func readingAhead(pipeline: String, stages: [String]) -> StageCache {
        let readAhead = ReadAhead()
        Task.detached { [self] in
            for stage in stages {
                guard let last = lastFingerprint(pipeline: pipeline, stage: stage), let entry = read(last) else {
                    continue
                }
                readAhead.put(entry)
            }
        }
        var cache = self
        cache.readAhead = readAhead
        return cache
    }

    /// Entries that nobody has asked for yet.
    private final class ReadAhead: Sendable {
        private let entries = Mutex<[Digest: StageCacheEntry]>([:])

        func put(_ entry: StageCacheEntry) { entries.withLock { $0[entry.fingerprint] = entry } }

        func take(_ fingerprint: Digest) -> StageCacheEntry? {
            entries.withLock { $0.removeValue(forKey: fingerprint) }
        }
    }

    /// The fingerprint with which the stage last succeeded.
    func lastFingerprint(pipeline: String, stage: String) -> Digest? {
        guard let bytes = try? FileSystem.read(lastPath(pipeline, stage)) else { return nil }
        return Digest(String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self))
    }

    func setLast(_ fingerprint: Digest, pipeline: String, stage: String) throws {
        try place(Array((fingerprint.description + "\n").utf8), at: lastPath(pipeline, stage))
    }

    private func path(of fingerprint: Digest) -> String { "\(folder)/stages/\(fingerprint.hex).json" }

    private func lastPath(_ pipeline: String, _ stage: String) -> String { "\(folder)/last/\(pipeline)/\(stage)" }

    private func place(_ bytes: [UInt8], at path: String) throws {
        do {
            try FileSystem.replaceUnflushed(path, with: bytes)
        } catch let error as MLOpsError where error.kind == .notFound {
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            try FileSystem.replaceUnflushed(path, with: bytes)
        }
    }
}

extension StageReport {
    /// A stage whose results are those of `entry`.
    init(_ entry: StageCacheEntry, of name: String) {
        self.init(name: name, state: .succeeded)
        isCached = true
        fingerprint = entry.fingerprint
        duration = entry.duration
        energy = entry.energy
        metrics = entry.metrics
        outs = entry.outs
    }
}
