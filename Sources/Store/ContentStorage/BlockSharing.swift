internal import Basics
internal import CSystem
internal import Glibc
internal import Synchronization

/// Lets a file that is checked out share its blocks with the packs that its chunks lie in, where the file system can (XFS, Btrfs and
/// others; ioctl_ficlonerange(2)): it takes no room of its own until it is written to, and packs never change.
struct BlockSharing {
    /// Smaller files are copied.
    static let minimum: Int64 = 512 << 10
    /// What a file system allocates at least, as a rule; where it is more, sharing fails and the bytes are copied.
    private static let block = PackFormat.pageLength
    private static let copyLength: Int64 = 1 << 20

    private let store: ContentStore
    private let file: OpenFile
    private let chunks: [FileManifest.Entry]
    /// Those that lie in a pack as they will in the file, with their places in the file; ascending.
    private var shared: [(position: Int, offset: Int64)] = []
    /// How far the file has been told of.
    private var offset: Int64 = 0

    /// - Parameter file: empty, open for writing.
    /// - Returns: nil if it cannot share blocks with packs.
    init?(_ file: OpenFile, of chunks: [FileManifest.Entry], in store: ContentStore) {
        guard chunks.reduce(0, { $0 + $1.byteCount }) >= BlockSharing.minimum, store.canShareBlocks(with: file) else {
            return nil
        }
        (self.file, self.chunks, self.store) = (file, chunks, store)
    }

    /// Takes the next chunks of the file, whose proven bytes are `bytes`: writes those that must be copied.
    ///
    /// - Parameter isSharable: tells of each, by its place in the file in bytes, whether a pack has it as it is, as far into a page.
    mutating func append(
        _ bytes: UnsafeRawBufferPointer, _ positions: Range<Int>, isSharable: (_ position: Int, _ offset: Int64) -> Bool
    ) throws {
        let start = offset
        var copied = start..<start
        func flush() throws {
            if copied.isEmpty { return }
            let range = Int(copied.lowerBound - start)..<Int(copied.upperBound - start)
            try file.write(UnsafeRawBufferPointer(rebasing: bytes[range]), at: copied.lowerBound)
        }
        for position in positions {
            let end = offset + chunks[position].byteCount
            if isSharable(position, offset) {
                shared.append((position, offset))
            } else if copied.upperBound == offset {
                copied = copied.lowerBound..<end
            } else {
                try flush()
                copied = offset..<end
            }
            offset = end
        }
        try flush()
    }

    /// Fills in what packs have, all of which are in the index by now.
    func finish() throws {
        let locations = try store.index.locate(shared.map { ObjectKey(.chunk, chunks[$0.position].chunk) })
        var index = 0
        while index < shared.count {
            let (position, target) = shared[index]
            guard let first = locations[index], first.codec == .raw else {
                let plain = try store.plain(ObjectKey(.chunk, chunks[position].chunk))
                try plain.withUnsafeBytes { try file.write($0, at: target) }
                index += 1
                continue
            }
            var end = target + chunks[position].byteCount
            index += 1
            // Neighbours in the file that are neighbours in the pack.
            while index < shared.count, shared[index].offset == end, let next = locations[index], next.codec == .raw,
                next.pack == first.pack, next.offset == first.offset + (end - target)
            {
                end += chunks[shared[index].position].byteCount
                index += 1
            }
            try fill(target..<end, from: store.openPack(first.pack), at: first.offset)
        }
    }

    /// Makes `range` of the file what stands in `pack` from `start` on: whole blocks shared, the rest copied.
    private func fill(_ range: Range<Int64>, from pack: OpenFile, at start: Int64) throws {
        let (block, shift) = (BlockSharing.block, start - range.lowerBound)
        let lower = (range.lowerBound + block - 1) / block * block
        let upper = range.upperBound / block * block
        guard shift % block == 0, upper > lower else { return try copy(range, from: pack, shift) }
        try Failpoint.reach("checkout.share")
        guard file.shareBlocks(of: pack, from: lower + shift, count: upper - lower, at: lower) else {
            return try copy(range, from: pack, shift)
        }
        try copy(range.lowerBound..<lower, from: pack, shift)
        try copy(upper..<range.upperBound, from: pack, shift)
    }

    private func copy(_ range: Range<Int64>, from pack: OpenFile, _ shift: Int64) throws {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = min(range.upperBound - offset, BlockSharing.copyLength)
            let bytes = try pack.read(count: Int(count), at: offset + shift)
            try bytes.withUnsafeBytes { try file.write($0, at: offset) }
            offset += count
        }
    }
}

extension PackFolder {
    /// A file without a name that shares all its blocks with `file`, in its present state; nil where the file system cannot.
    func snapshot(of file: OpenFile) -> OpenFile? {
        guard let snapshot = nameless(for: file.path), mlops_clone_file(file.descriptor, snapshot.descriptor) == 0
        else { return nil }
        return snapshot
    }

    /// An empty file without a name beside the packs, called `name` in errors; nil where none can be made.
    fileprivate func nameless(for name: String) -> OpenFile? {
        let folder = mlops_open(path, O_RDONLY | O_DIRECTORY, 0)
        guard folder >= 0 else { return nil }
        defer { close(folder) }
        let descriptor = mlops_open_nameless(folder, 0o600)
        return descriptor >= 0 ? OpenFile(descriptor: descriptor, path: name) : nil
    }
}

extension ContentStore {
    /// What was found out, by the path of the packs and the device of the file.
    private static let sharing = Mutex<[String: Bool]>([:])

    /// Whether the file system lets `file`, which is empty, share blocks with a file in the folder of packs.
    fileprivate func canShareBlocks(with file: OpenFile) -> Bool {
        guard let device = try? file.status().device else { return false }
        let key = "\(device) \(packs.path)"
        if let known = ContentStore.sharing.withLock({ $0[key] }) { return known }
        guard let probe = packs.nameless(for: packs.path) else { return false }
        let can = mlops_clone_file(probe.descriptor, file.descriptor) == 0
        ContentStore.sharing.withLock { $0[key] = can }
        return can
    }
}
