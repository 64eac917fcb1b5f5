package import Basics

/// The stage cache as other machines share it: bundles of entries, each a file that is named by its digest.
///
/// A bundle holds an entry a line, as canonical JSON (Documentation/formats/runs.md).
package struct SharedStageCache: Sendable {
    /// Entries of one bundle, at most.
    package static let bundleLimit = 5000

    /// An entry of the cache, as far as whoever shares it must know it.
    package struct Entry: Sendable {
        package var fingerprint: Digest
        package var outputs: [StoredOutput]
        let whole: StageCacheEntry
    }

    private let cache: StageCache

    /// - Parameter workspace: the folder `.mlops`.
    package init(workspace: String) { cache = StageCache(workspace: workspace) }

    /// Entries of this machine whose outputs are all kept in the store, by fingerprint, without those of `known`.
    package func entries(without known: Set<Digest>) throws -> [Entry] {
        let folder = FileSystem.join(cache.folder, "stages")
        guard FileSystem.isDirectory(folder) else { return [] }
        return try FileSystem.list(folder).sorted().compactMap { name in
            guard name.hasSuffix(".json"), let fingerprint = Digest(name.dropLast(5)), !known.contains(fingerprint),
                let entry = cache.entry(fingerprint), entry.outs.allSatisfy(\.isKept)
            else { return nil }
            return Entry(fingerprint: fingerprint, outputs: entry.outs, whole: entry)
        }
    }

    package func has(_ fingerprint: Digest) -> Bool { cache.entry(fingerprint) != nil }

    /// The bytes of a bundle.
    package func bundle(_ entries: [Entry]) -> [UInt8] {
        entries.reduce(into: []) { $0 += $1.whole.json.canonicalBytes + [0x0A] }
    }

    /// The entries of a bundle from elsewhere.
    ///
    /// - Throws: kind `.damaged` for what is no entry, or one whose fingerprint is not that of its ingredients.
    package func read(_ bytes: [UInt8], name: String) throws -> [Entry] {
        try bytes.split(separator: 0x0A).map { line in
            let line = Array(line)
            guard let json = try? JSONValue(parsing: line, source: name),
                let fingerprint = json["fingerprint"]?.string.flatMap({ Digest($0) }),
                let entry = StageCacheEntry(json, of: line, fingerprint: fingerprint),
                Ingredients(json: entry.ingredients).fingerprint == fingerprint
            else {
                throw MLOpsError(
                    .damaged, "`\(printable(name))` on the remote holds something else than results of stages",
                    hint: "remove it from the remote; a later `mlops push --run-cache` sends what it should hold")
            }
            return Entry(fingerprint: fingerprint, outputs: entry.outs, whole: entry)
        }
    }

    /// Takes entries from elsewhere in; the store has what they name. The newest of a stage that never ran here is what its next
    /// run is compared with.
    package func install(_ entries: [Entry]) throws {
        for entry in entries { try cache.store(entry.whole) }
        for entry in entries.sorted(by: { $0.whole.created > $1.whole.created }) {
            let (pipeline, stage) = (entry.whole.pipeline, entry.whole.stage)
            if cache.lastFingerprint(pipeline: pipeline, stage: stage) == nil {
                try cache.setLast(entry.fingerprint, pipeline: pipeline, stage: stage)
            }
        }
    }
}
