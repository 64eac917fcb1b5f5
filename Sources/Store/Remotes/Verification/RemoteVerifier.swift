internal import Basics
package import ContentStorage

/// Looks at all of a remote: index files against their names, packs against the index, content against what names it.
package struct RemoteVerifier: Sendable {
    let store: ContentStore
    let remote: any Remote
    let jobs: Int
    let readsData: Bool
    let progress: ProgressHandler?

    /// - Parameter readsData: every pack is fetched, and every byte of it checked.
    package init(
        store: ContentStore, remote: any Remote, readsData: Bool, jobs: Int = 4, progress: ProgressHandler? = nil
    ) {
        self.store = store
        self.remote = remote
        self.readsData = readsData
        self.jobs = jobs
        self.progress = progress
    }

    /// - Throws: what keeps the remote from being read at all; damage is in the report.
    package func verify(_ expected: [ExpectedContent]) async throws -> RemoteVerification {
        try await report(on: try await look(), expected)
    }

    // MARK: Packs

    func look() async throws -> RemoteState {
        guard try await RemoteFormat.check(remote) else {
            throw MLOpsError(
                .notFound, "the remote `\(remote.location)` is empty: nothing was pushed there yet",
                hint: "run `mlops push`")
        }
        var state = RemoteState()
        let items = try await remote.list("index").filter { $0.key.hasSuffix(".idx") }
        let sizes = Dictionary(
            try await remote.list("packs").map { ($0.key, $0.byteCount) }, uniquingKeysWith: { first, _ in first })
        state.orphans = sizes
        let files = try await mapConcurrently(items, width: jobs) { try await indexFile($0.key) }
        var named: [Digest: PackIndexFile.Pack] = [:]
        for (item, file) in zip(items, files) {
            state.indexKeys.append(item.key)
            switch file {
            case .success(let file): for pack in file.packs { named[pack.digest] = pack }
            case .failure(let error): state.brokenIndexKeys.append((item.key, error.message))
            }
        }
        for pack in named.values {
            let key = packKey(pack.digest)
            state.orphans[key] = nil
            if let size = sizes[key], size == pack.byteCount {
                state.packs[pack.digest] = pack
            } else {
                let problem = sizes[key].map { "has \($0) bytes instead of \(pack.byteCount)" } ?? "is missing"
                state.faulty[pack.digest] = (pack, problem)
            }
        }
        if readsData { try await readPacks(&state) }
        for pack in state.packs.values {
            for entry in pack.entries { state.places[entry.key] = (pack.digest, entry) }
        }
        return state
    }

    private func indexFile(_ key: String) async throws -> Result<PackIndexFile, MLOpsError> {
        do {
            let file = try await lookingAgain {
                let bytes = try await remote.get(key)
                guard PackIndexFile.name(of: bytes) == FileSystem.name(of: key) else {
                    throw MLOpsError(.damaged, "does not hold the bytes that its name says")
                }
                return try PackIndexFile.decode(bytes, subject: key)
            }
            return .success(file)
        } catch let error as MLOpsError where error.kind == .damaged || error.kind == .notFound {
            return .failure(error)
        }
    }

    private func readPacks(_ state: inout RemoteState) async throws {
        let packs = state.packs.values.sorted { $0.digest < $1.digest }
        let meter = ProgressMeter(
            totalBytes: packs.reduce(0) { $0 + $1.byteCount }, totalFiles: packs.count, handler: progress)
        let problems = try await mapConcurrently(packs, width: min(jobs, 2)) { pack in
            let problem = try await problem(of: pack, meter: meter)
            meter.add(files: 1)
            return (pack, problem)
        }
        for (pack, problem) in problems {
            guard let problem else { continue }
            state.packs[pack.digest] = nil
            state.faulty[pack.digest] = (pack, problem)
        }
    }

    private func problem(of pack: PackIndexFile.Pack, meter: ProgressMeter) async throws -> String? {
        // Held open, so that nobody takes it for garbage.
        let temporary = try TemporaryFile.create(beside: FileSystem.join(try store.packsFolder(), "pack"))
        let path = temporary.path
        defer { try? FileSystem.removeFile(path) }
        do {
            // A second look tells damage there from damage on the way.
            return try await lookingAgain {
                try await remote.download(packKey(pack.digest), to: path) { meter.add(bytes: $0) }
                let faults = try store.faults(ofPackAt: path, digest: pack.digest, entries: pack.entries)
                guard let first = faults.first else { return nil }
                meter.add(bytes: -pack.byteCount)
                throw MLOpsError(.damaged, "\(first.key.map { "\($0) " } ?? "")\(first.problem)")
            }
        } catch let error as MLOpsError where error.kind == .damaged || error.kind == .notFound {
            return error.message
        }
    }

    // MARK: Content

    func report(on state: RemoteState, _ expected: [ExpectedContent]) async throws -> RemoteVerification {
        var report = RemoteVerification(location: remote.location, readsData: readsData)
        report.indexFileCount = state.indexKeys.count
        report.packCount = state.packs.count + state.faulty.count
        report.byteCount = state.packs.values.reduce(0) { $0 + $1.byteCount }
        report.objectCount = state.places.count
        report.orphanPackCount = state.orphans.count
        report.damages = state.brokenIndexKeys.map { .init(object: "`\($0.key)`", problem: $0.problem) }
        var lacking: [ObjectKey: Set<String>] = [:]
        for content in expected where !ContentLinks.isEmpty(content.root.digest) {
            var walk = RemoteWalk(store: store, remote: remote, state: state, jobs: jobs)
            guard walk.holdsTop(of: content.root) else {
                if content.isPublished || isFaulty(content.root, state) {
                    let kind: ObjectKind = content.root.kind == .tree ? .tree : .chunk
                    lacking[ObjectKey(kind, content.root.digest), default: []].insert(content.name)
                } else {
                    report.unsent.append(content.name)
                }
                continue
            }
            for key in try await walk.gaps(below: content.root) { lacking[key, default: []].insert(content.name) }
        }
        for (pack, problem) in state.faulty.values.sorted(by: { $0.pack.digest < $1.pack.digest }) {
            let hurts = Set(pack.entries.flatMap { lacking.removeValue(forKey: $0.key) ?? [] })
            report.damages.append(
                .init(pack: pack.digest.description, problem: problem, hurts: hurts.sorted()))
        }
        for (key, names) in lacking.sorted(by: { $0.key < $1.key }) {
            report.damages.append(
                .init(object: "\(key)", problem: "is not in the remote", hurts: names.sorted()))
        }
        return report
    }

    private func isFaulty(_ root: ContentRoot, _ state: RemoteState) -> Bool {
        state.faulty.values.contains { $0.pack.entries.contains { $0.key.id == root.digest } }
    }
}

/// Follows content of a remote down to its chunks; lists that are here too are not fetched.
private struct RemoteWalk {
    let store: ContentStore
    let remote: any Remote
    let state: RemoteState
    let jobs: Int
    private var seen: Set<ObjectKey> = []
    private var missing: Set<ObjectKey> = []

    init(store: ContentStore, remote: any Remote, state: RemoteState, jobs: Int) {
        self.store = store
        self.remote = remote
        self.state = state
        self.jobs = jobs
    }

    func holdsTop(of root: ContentRoot) -> Bool {
        state.contains(.manifest, root.digest) || state.contains(root.kind == .tree ? .tree : .chunk, root.digest)
    }

    private enum Step: Sendable {
        case tree(Digest), manifest(Digest), bigTree(Digest), segment(Digest)
    }

    /// The objects that are needed and not there.
    mutating func gaps(below root: ContentRoot) async throws -> Set<ObjectKey> {
        var links = ContentLinks()
        if root.kind == .tree { links.trees = [root.digest] } else { links.files = [root.digest] }
        var steps = take(links)
        while !steps.isEmpty {
            let found = try await mapConcurrently(steps, width: jobs) { [self] in try await follow($0) }
            steps = []
            for result in found {
                switch result {
                case .success(let links): steps += take(links)
                case .failure(let gap): missing.insert(gap.key)
                }
            }
        }
        return missing
    }

    private struct Gap: Error { var key: ObjectKey }

    /// Notes what is missing of the links, and gives what is to be read next.
    private mutating func take(_ links: ContentLinks) -> [Step] {
        var steps: [Step] = []
        for tree in links.trees {
            if state.contains(.tree, tree) {
                if seen.insert(ObjectKey(.tree, tree)).inserted { steps.append(.tree(tree)) }
            } else if state.contains(.manifest, tree) {
                if seen.insert(ObjectKey(.manifest, tree)).inserted { steps += [.manifest(tree), .bigTree(tree)] }
            } else {
                missing.insert(ObjectKey(.tree, tree))
            }
        }
        for file in links.files where !state.contains(.chunk, file) {
            if !state.contains(.manifest, file) {
                missing.insert(ObjectKey(.chunk, file))
            } else if seen.insert(ObjectKey(.manifest, file)).inserted {
                steps.append(.manifest(file))
            }
        }
        for chunk in links.chunks where !state.contains(.chunk, chunk) { missing.insert(ObjectKey(.chunk, chunk)) }
        for segment in links.segments {
            if !state.contains(.chunk, segment) {
                missing.insert(ObjectKey(.chunk, segment))
            } else if seen.insert(ObjectKey(.chunk, segment)).inserted {
                steps.append(.segment(segment))
            }
        }
        return steps
    }

    private func follow(_ step: Step) async throws -> Result<ContentLinks, Gap> {
        do {
            switch step {
            case .tree(let digest):
                return .success(try ContentLinks(ofTree: try await plain(ObjectKey(.tree, digest)), digest: digest))
            case .manifest(let digest):
                let bytes = try await plain(ObjectKey(.manifest, digest))
                return .success(try ContentLinks(ofManifest: bytes, digest: digest))
            case .segment(let digest):
                return .success(try ContentLinks(ofSegment: try await plain(ObjectKey(.chunk, digest))))
            case .bigTree(let digest):
                return .success(try ContentLinks(ofTree: try await listing(digest), digest: digest))
            }
        } catch let gap as Gap {
            return .failure(gap)
        }
    }

    /// The bytes of a listing in pieces.
    private func listing(_ digest: Digest) async throws -> [UInt8] {
        let links = try ContentLinks(ofManifest: try await plain(ObjectKey(.manifest, digest)), digest: digest)
        var chunks = links.chunks
        for segment in links.segments {
            chunks += try ContentLinks(ofSegment: try await plain(ObjectKey(.chunk, segment))).chunks
        }
        var bytes: [UInt8] = []
        for chunk in chunks { bytes += try await plain(ObjectKey(.chunk, chunk)) }
        return bytes
    }

    /// The proven bytes of an object: from here if it is here, else from the remote.
    private func plain(_ key: ObjectKey) async throws -> [UInt8] {
        if let frame = try? store.frame(of: key), let bytes = try? frame.decoded() { return bytes }
        guard let place = state.places[key] else { throw Gap(key: key) }
        let start = place.entry.offset
        do {
            return try await lookingAgain {
                let stored = try await remote.get(
                    packKey(place.pack), range: start..<start + Int64(place.entry.storedLength))
                return try PackFrame(place.entry, stored: stored).decoded()
            }
        } catch let error as MLOpsError where error.kind == .damaged || error.kind == .notFound {
            throw Gap(key: key)
        }
    }
}
