internal import Basics
internal import ContentStorage

/// What was mended in a remote.
package struct RemoteHealing: Encodable, Sendable {
    /// Packs that were sent again as they were, and packs whose objects were sent in new ones.
    package var resentPackCount = 0
    package var replacedPackCount = 0
    /// Index files that were replaced.
    package var replacedIndexCount = 0
    /// Packs that nothing here could replace.
    package var unhealed: [String] = []

    package init() {}

    package var isNothing: Bool { resentPackCount + replacedPackCount + replacedIndexCount == 0 }
}

extension RemoteVerifier {
    /// Replaces what is damaged or missing in the remote by what this store has.
    ///
    /// Order of writing: packs, then one index file for everything that is sound, then the old index files and the damaged
    /// packs go. So whoever reads meanwhile finds what was there before, or more.
    package func heal() async throws -> RemoteHealing {
        var healing = RemoteHealing()
        var state = try await look()
        guard !state.faulty.isEmpty || !state.brokenIndexKeys.isEmpty else { return healing }
        for (digest, fault) in state.faulty.sorted(by: { $0.key < $1.key })
        where try await resend(fault.pack) {
            state.faulty[digest] = nil
            state.packs[digest] = fault.pack
            healing.resentPackCount += 1
        }
        var gone: [Digest] = []
        for (digest, fault) in state.faulty.sorted(by: { $0.key < $1.key }) {
            let needed = fault.pack.entries.map(\.key).filter { key in
                !state.packs.values.contains { $0.entries.contains { $0.key == key } }
            }
            guard let pack = try await send(needed) else {
                healing.unhealed.append("pack \(digest): \(fault.problem)")
                continue
            }
            if let pack = pack.value { state.packs[pack.digest] = pack }
            gone.append(digest)
            healing.replacedPackCount += 1
        }
        if !gone.isEmpty || !state.brokenIndexKeys.isEmpty {
            // A broken index file may have named packs that no other names.
            if !state.brokenIndexKeys.isEmpty {
                for key in state.orphans.keys.sorted() {
                    if let pack = try await orphan(key, byteCount: state.orphans[key] ?? 0) {
                        state.packs[pack.digest] = pack
                    }
                }
            }
            healing.replacedIndexCount = try await replaceIndex(state, without: gone)
        }
        return healing
    }

    /// Sends a pack that is here, or that can be put together again; false if neither.
    private func resend(_ pack: PackIndexFile.Pack) async throws -> Bool {
        if let local = try store.pack(pack.digest), let digest = try? store.fileDigest(checking: local) {
            try await upload(local.path, pack, fileDigest: digest)
            return true
        }
        // The same stored bytes in the same order are the same pack.
        guard let finished = try assemble(pack.entries.map(\.key)) else { return false }
        defer { try? FileSystem.removeFile(finished.path) }
        guard finished.digest == pack.digest, let fileDigest = finished.fileDigest else { return false }
        try await upload(finished.path, pack, fileDigest: fileDigest)
        return true
    }

    private struct Sent { var value: PackIndexFile.Pack? }

    /// Sends the objects in a pack of their own; nil if one of them is not here.
    private func send(_ keys: [ObjectKey]) async throws -> Sent? {
        if keys.isEmpty { return Sent(value: nil) }
        guard let finished = try assemble(keys) else { return nil }
        defer { try? FileSystem.removeFile(finished.path) }
        guard let fileDigest = finished.fileDigest else { return nil }
        let pack = PackIndexFile.Pack(
            digest: finished.digest, byteCount: finished.byteCount, entries: finished.entries)
        try await upload(finished.path, pack, fileDigest: fileDigest)
        return Sent(value: pack)
    }

    private func assemble(_ keys: [ObjectKey]) throws -> FinishedPack? {
        guard try store.missingObjects(among: keys).isEmpty else { return nil }
        let writer = try PackWriter(folder: store.packsFolder(), for: .sent)
        do {
            for key in keys { try writer.append(store.frame(of: key)) }
            return try writer.finish()
        } catch let error as MLOpsError where error.kind == .damaged {
            writer.abandon()
            return nil
        } catch {
            writer.abandon()
            throw error
        }
    }

    private func upload(_ path: String, _ pack: PackIndexFile.Pack, fileDigest: Digest) async throws {
        let key = packKey(pack.digest)
        try Failpoint.reach("heal.pack")
        try await remote.upload(file: path, to: key, digest: fileDigest)
        guard try await remote.size(of: key) == pack.byteCount else {
            throw MLOpsError(
                .damaged, "the remote `\(remote.location)` does not keep all of `\(key)`",
                hint: "check its disk and what lies between, then run the same command again")
        }
    }

    /// The pack that an interrupted push or a broken index file left without a name; nil if it is not whole.
    private func orphan(_ key: String, byteCount: Int64) async throws -> PackIndexFile.Pack? {
        let name = FileSystem.name(of: key)
        guard name.hasSuffix(".pack"), let digest = Digest(name.dropLast(5)), packKey(digest) == key else { return nil }
        do {
            let trailerStart = byteCount - Int64(PackReader.trailerLength)
            guard trailerStart > 0 else { return nil }
            let trailer = try await remote.get(key, range: trailerStart..<byteCount)
            let length = try PackReader.endingLength(fromTrailer: trailer, subject: key)
            guard length <= byteCount else { return nil }
            let ending = try await remote.get(key, range: byteCount - length..<byteCount)
            let entries = try PackReader.parseFooter(ending, packByteCount: byteCount, subject: key)
            guard Digest.of(ending.dropLast(PackReader.trailerLength)) == digest else { return nil }
            return PackIndexFile.Pack(digest: digest, byteCount: byteCount, entries: entries)
        } catch let error as MLOpsError where error.kind == .damaged || error.kind == .notFound {
            return nil
        }
    }

    /// One index file for all that is sound and for what could not be healed; then the others go, and the packs in `gone`.
    private func replaceIndex(_ state: RemoteState, without gone: [Digest]) async throws -> Int {
        let unhealed = state.faulty.filter { !gone.contains($0.key) }.map(\.value.pack)
        let packs = (Array(state.packs.values) + unhealed).sorted { $0.digest < $1.digest }
        let bytes = PackIndexFile(packs: packs).encode()
        let key = RemoteIndexReader.folder + PackIndexFile.name(of: bytes)
        try Failpoint.reach("heal.index")
        try await remote.put(bytes, at: key)
        guard try await remote.size(of: key) == Int64(bytes.count) else { return 0 }
        let old = state.indexKeys.filter { $0 != key }
        try Failpoint.reach("heal.remove")
        for old in old { try await remote.remove(old) }
        for digest in gone { try await remote.remove(packKey(digest)) }
        return old.count
    }
}
