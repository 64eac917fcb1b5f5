internal import Basics

/// Chunks that lie one after the other in memory, with their digests.
struct PieceRun {
    let bytes: UnsafeRawBufferPointer
    let lengths: [UInt32]
    let keys: [ObjectKey]
    let starts: [Int]

    init(_ bytes: UnsafeRawBufferPointer, lengths: [UInt32], digests: [Digest]) {
        self.bytes = bytes
        self.lengths = lengths
        keys = digests.map { ObjectKey(.chunk, $0) }
        var start = 0
        starts = lengths.map { length in
            defer { start += Int(length) }
            return start
        }
    }

    func slice(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[starts[index]..<starts[index] + Int(lengths[index])])
    }

    /// The bytes of neighbours.
    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        guard let first = range.first, let last = range.last else {
            return UnsafeRawBufferPointer(rebasing: bytes[0..<0])
        }
        return UnsafeRawBufferPointer(rebasing: bytes[starts[first]..<starts[last] + Int(lengths[last])])
    }
}

/// What an addition did with one file, in bytes.
struct FileTally: Sendable, Hashable {
    var chunkCount = 0
    var newChunkCount = 0
    var newByteCount: Int64 = 0
    /// What the new chunks take in packs.
    var storedByteCount: Int64 = 0

    /// Counts a chunk of `byteCount` bytes, of which `stored` were written; nil if the store had it.
    mutating func add(_ byteCount: Int64, stored: Int?) {
        chunkCount += 1
        guard let stored else { return }
        newChunkCount += 1
        newByteCount += byteCount
        storedByteCount += Int64(stored)
    }
}
