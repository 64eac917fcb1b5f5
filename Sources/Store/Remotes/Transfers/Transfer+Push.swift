internal import Basics
package import ContentStorage

extension Transfer {
    /// Smaller packs are put together into larger ones on their way.
    private static let smallPack: Int64 = 8 << 20
    private static let packTarget = 64 << 20

    /// What goes into one pack on the remote.
    private enum Parcel: Sendable {
        case pack(LocalPack)
        case frames([ObjectKey], byteCount: Int64)

        var byteCount: Int64 {
            switch self {
            case .pack(let pack): pack.byteCount
            case .frames(_, let byteCount): byteCount
            }
        }
    }

    /// Sends what the remote lacks of `roots`; nothing at all if it has everything.
    ///
    /// - Throws: kind `.damaged` if local content is missing or hurt, `.failed` if the remote held data once and holds nothing now, and
    ///   the errors of the remote. Whatever was sent before is used by the next push.
    package func push(_ roots: [ContentRoot]) async throws -> TransferReport {
        let start = ContinuousClock.now
        let reader = indexReader
        if try await !RemoteFormat.check(remote) {
            if try await reader.hasVanished() { throw vanished }
            try await RemoteFormat.establish(remote)
        }
        let (index, packSizes) = try await reader.read(checksPacks: true)
        let missing = try await missingObjects(of: roots, from: index)
        var report = TransferReport()
        report.objectCount = missing.count
        if !missing.isEmpty {
            let parcels = try parcels(of: missing)
            let meter = ProgressMeter(
                totalBytes: parcels.reduce(0) { $0 + $1.byteCount }, totalFiles: parcels.count, handler: progress)
            let sent = try await mapConcurrently(parcels, width: jobs) { parcel in
                try await send(parcel, existing: packSizes, meter: meter)
            }
            report.packCount = sent.count
            report.wholePackCount = parcels.count { if case .pack = $0 { true } else { false } }
            report.resumedPackCount = sent.count { $0.wasThere }
            report.byteCount = sent.reduce(0) { $0 + ($1.wasThere ? 0 : $1.pack.byteCount) }
            try await writeIndex(sent.map(\.pack), beside: index, reader: reader)
        }
        report.seconds = (ContinuousClock.now - start).seconds
        return report
    }

    private func missingObjects(of roots: [ContentRoot], from index: RemoteIndex) async throws -> [StoredObject] {
        var seen: Set<ObjectKey> = []
        var missing: [StoredObject] = []
        for root in roots where !index.holds(root) {
            for object in try await store.reachableObjects(from: root)
            where !index.contains(object.key) && seen.insert(object.key).inserted {
                missing.append(object)
            }
        }
        return missing
    }

    private func parcels(of missing: [StoredObject]) throws -> [Parcel] {
        let (packs, rest) = try store.wholePacks(covering: Set(missing.map(\.key)))
        let isAlone = packs.count == 1 && rest.isEmpty
        let large = packs.filter { isAlone || $0.byteCount >= Transfer.smallPack }
        let covered = Set(large.flatMap { $0.entries.map(\.key) })
        // Listings lie together at the start, so that a pull reads all of them at once.
        let order: [ObjectKind] = [.tree, .manifest, .chunk]
        let loose = order.flatMap { kind in missing.filter { $0.key.kind == kind && !covered.contains($0.key) } }
        var parcels = large.map { Parcel.pack($0) }
        var keys: [ObjectKey] = []
        var byteCount: Int64 = 0
        for object in loose {
            keys.append(object.key)
            byteCount += Int64(object.storedLength)
            if byteCount >= Int64(Transfer.packTarget) {
                parcels.append(.frames(keys, byteCount: byteCount))
                (keys, byteCount) = ([], 0)
            }
        }
        if !keys.isEmpty { parcels.append(.frames(keys, byteCount: byteCount)) }
        return parcels
    }

    private func send(
        _ parcel: Parcel, existing: [String: Int64], meter: ProgressMeter
    ) async throws -> (pack: PackIndexFile.Pack, wasThere: Bool) {
        let pack: PackIndexFile.Pack
        let wasThere: Bool
        switch parcel {
        case .pack(let local):
            pack = .init(digest: local.digest, byteCount: local.byteCount, entries: local.entries)
            wasThere = try await upload(local.path, pack, existing: existing, meter: meter) {
                try store.fileDigest(checking: local)
            }
        case .frames(let keys, _):
            let (finished, fileDigest) = try assemble(keys)
            defer { try? FileSystem.removeFile(finished.path) }
            pack = .init(digest: finished.digest, byteCount: finished.byteCount, entries: finished.entries)
            wasThere = try await upload(finished.path, pack, existing: existing, meter: meter) { fileDigest }
        }
        if wasThere { meter.add(bytes: pack.byteCount) }
        meter.add(files: 1)
        return (pack, wasThere)
    }

    private func assemble(_ keys: [ObjectKey]) throws -> (pack: FinishedPack, fileDigest: Digest) {
        let writer = try PackWriter(folder: store.packsFolder(), for: .sent)
        do {
            for key in keys {
                try Task.checkCancellation()
                try writer.append(store.frame(of: key))
            }
            let pack = try writer.finish()
            return (pack, try pack.fileDigest ?? Digest.of(FileSystem.read(pack.path)))
        } catch {
            writer.abandon()
            throw error
        }
    }

    private var vanished: MLOpsError {
        MLOpsError(
            .failed, "the remote `\(remote.location)` holds nothing, and held data before",
            hint: "mount its disk, or check its address; to start anew there, run `mlops remote add` for it once more")
    }

    /// Sends one pack unless it lies there whole already, left by a push that was interrupted.
    ///
    /// - Parameter fileDigest: the SHA-256 of the file's bytes, worked out if it must be sent.
    private func upload(
        _ path: String, _ pack: PackIndexFile.Pack, existing: [String: Int64], meter: ProgressMeter,
        fileDigest: () throws -> Digest
    ) async throws -> Bool {
        let key = packKey(pack.digest)
        if existing[key] == pack.byteCount { return true }
        try Failpoint.reach("push.pack")
        let digest = try fileDigest()
        try await remote.upload(file: path, to: key, digest: digest) { meter.add(bytes: $0) }
        let size = try await remote.size(of: key)
        guard size == pack.byteCount else {
            let found = size.map { "\($0) bytes" } ?? "nothing"
            throw MLOpsError(
                .damaged, "the remote `\(remote.location)` keeps \(found) of the \(pack.byteCount) bytes of `\(key)`",
                hint: "check its disk and what lies between, then run `mlops push` again")
        }
        return false
    }

    private func writeIndex(
        _ packs: [PackIndexFile.Pack], beside index: RemoteIndex, reader: RemoteIndexReader
    ) async throws {
        // Many small files become one that says the same; the old ones go only after it is there. A reader that misses one
        // of them lists again.
        let isMerging = index.fileKeys.count >= mergesIndexAt
        let bytes = PackIndexFile(packs: (isMerging ? index.packs : []) + packs).encode()
        let key = RemoteIndexReader.folder + PackIndexFile.name(of: bytes)
        try Failpoint.reach("push.index")
        try await remote.put(bytes, at: key)
        try reader.remember(bytes, key: key)
        guard isMerging, try await remote.size(of: key) == Int64(bytes.count) else { return }
        try Failpoint.reach("push.merged")
        for old in index.fileKeys where old != key { try await remote.remove(old) }
    }
}
