internal import Basics
internal import ContentStorage
internal import Remotes
internal import Synchronization

/// Brings content out of DVC's buckets into a folder laid out as DVC's cache is, each file compared with its MD5.
final class DVCFetch: Sendable {
    /// One file of a remote.
    struct Item: Sendable, Hashable {
        var hash: String
        var isListing = false
        /// Written by DVC 1 or 2: it lies in their layout, and its MD5 may ignore CR.
        var isOld: Bool

        /// Its place in the layout of DVC 3, and in the one before.
        var keys: [String] {
            let old = "\(hash.prefix(2))/\(hash.dropFirst(2))\(isListing ? ".dir" : "")"
            return isOld ? [old, "files/md5/" + old] : ["files/md5/" + old, old]
        }
    }

    let folder: String
    private let environment: [String: String]
    private let options: TransferOptions
    private let opened = Mutex<[DVCRemote: any Remote]>([:])

    init(folder: String, environment: [String: String], options: TransferOptions) {
        self.folder = folder
        self.environment = environment
        self.options = options
    }

    /// Fetches `items` from the first of `remotes` that has each; those that none has are left out.
    ///
    /// - Throws: the error of a remote that failed, if something was not found in the others.
    func fetch(_ items: [Item], from remotes: [DVCRemote]) async throws {
        var left = items
        var problem: (any Error)?
        for remote in remotes where !left.isEmpty {
            do {
                let open = try open(remote)
                let meter = ByteMeter(options.progress, fileCount: left.count)
                let found = try await mapConcurrently(left, width: options.jobs) { item in
                    try await self.download(item, from: open, meter: meter)
                }
                left = zip(left, found).filter { !$1 }.map(\.0)
            } catch let error as CancellationError {
                throw error
            } catch {
                problem = problem ?? error
            }
        }
        if !left.isEmpty, let problem { throw problem }
    }

    /// The bytes of those of `items` that lie in one of `remotes`, by item.
    func sizes(of items: [Item], in remotes: [DVCRemote]) async throws -> [Item: Int64] {
        var sizes: [Item: Int64] = [:]
        for remote in remotes {
            let open = try open(remote)
            let left = items.filter { sizes[$0] == nil }
            let found = try await mapConcurrently(left, width: options.jobs) { item in
                for key in item.keys { if let size = try await open.size(of: key) { return size as Int64? } }
                return nil
            }
            for (item, size) in zip(left, found) { sizes[item] = size }
        }
        return sizes
    }

    private func open(_ remote: DVCRemote) throws -> any Remote {
        if let known = opened.withLock({ $0[remote] }) { return known }
        let open = try remote.open(environment: environment, options: options)
        opened.withLock { $0[remote] = open }
        return open
    }

    /// False if the remote has none.
    private func download(_ item: Item, from remote: any Remote, meter: ByteMeter) async throws -> Bool {
        let path = FileSystem.join(folder, "files/md5/\(item.hash.prefix(2))/\(item.hash.dropFirst(2))")
        let target = path + (item.isListing ? ".dir" : "")
        try FileSystem.createDirectories(FileSystem.parent(of: target))
        for key in item.keys {
            let temporary = try TemporaryFile.create(beside: target)
            defer { try? FileSystem.removeFile(temporary.path) }
            do {
                try await download(item, key, from: remote, to: temporary.path, meter: meter)
            } catch let error as MLOpsError where error.kind == .notFound {
                continue
            }
            try FileSystem.rename(temporary.path, to: target)
            meter.add(files: 1)
            return true
        }
        return false
    }

    private func download(
        _ item: Item, _ key: String, from remote: any Remote, to path: String, meter: ByteMeter
    ) async throws {
        let checksum: ForeignFile.Checksum = item.isOld ? .md5IgnoringLineEnds(item.hash) : .md5(item.hash)
        for attempt in 1... {
            try await remote.download(key, to: path) { meter.add(bytes: $0) }
            do {
                return try ForeignFile(path: "", source: path, checksum: checksum).verify()
            } catch let error as MLOpsError where error.kind == .damaged {
                // A second look tells damage there from damage on the way.
                guard attempt == 2 else { continue }
                throw MLOpsError(
                    .damaged, "`\(key)` in DVC's remote `\(remote.location)` does not have the MD5 that names it",
                    hint: "run `dvc push` where the data is whole, then the same command again", cause: error)
            }
        }
    }
}

/// Adds up what is fetched; how much there will be is not known before.
private final class ByteMeter: Sendable {
    private let state: Mutex<TransferProgress>
    private let handler: ProgressHandler?

    init(_ handler: ProgressHandler?, fileCount: Int) {
        state = Mutex(TransferProgress(totalBytes: 0, totalFiles: fileCount))
        self.handler = handler
    }

    func add(bytes: Int64 = 0, files: Int = 0) {
        let now = state.withLock { state in
            state.doneBytes += bytes
            state.totalBytes = max(state.totalBytes, state.doneBytes)
            state.doneFiles += files
            return state
        }
        handler?(now)
    }
}
