import Basics
import Foundation
import TestSupport
import Testing

@Suite struct BlockWriterTests {
    /// Lengths around the ends of blocks and pages, and appends of odd sizes.
    @Test(arguments: [0, 1, 4095, 4096, 2 << 20, (2 << 20) + 1, (6 << 20) + 4097, (9 << 20) - 3])
    func writesWhatIsAppended(_ length: Int) throws {
        let folder = try TemporaryFolder()
        let content = bytes(length)
        #expect(try written(content, to: folder("file"), piece: 300_007) == content)
    }

    /// Bytes that were lent, wherever they lie in their pages, and bytes that were copied make the same file.
    @Test(arguments: [0, 1, 4095]) func writesWhatIsLent(_ start: Int) throws {
        let folder = try TemporaryFolder()
        let content = bytes((21 << 20) + 1234)
        let pool = PagePool(byteCount: 3 << 20)
        let writer = BlockWriter(try OpenFile(creating: folder("file")), patience: .waitsForDisk)
        try writer.append(Array(content[..<start]))
        var position = start
        var number = 0
        while position < content.count {
            let count = min([3 << 20, 700_001, 100, (2 << 20) + 4096][number % 4], content.count - position)
            // One in five lies otherwise than it will in the file.
            let lent = pool.take(count, phase: number % 5 == 4 ? 17 : position % PagePool.pageSize)
            lent.memory.copyBytes(from: content[position..<position + count])
            if number % 6 == 5 { try writer.append(lent.bytes) } else { try writer.append(lending: lent) }
            position += count
            number += 1
        }
        try writer.finish()
        #expect(writer.byteCount == Int64(content.count))
        #expect(try FileSystem.read(folder("file")) == content)
    }

    @Test func memoryOfAPoolIsUsedAgain() {
        let pool = PagePool(byteCount: 10_000)
        let first = pool.take(9000, phase: 3).memory.baseAddress
        #expect(pool.take(100, phase: 3).memory.baseAddress == first)
        // What is longer than most gets memory of its own.
        #expect(pool.take(1 << 20).count == 1 << 20)
    }

    @Test func writesToAFileSystemWithoutDirectWriting() throws {
        // Kept in memory: its files know no direct writing, or need no alignment.
        let path = "/dev/shm/mlops-block-writer-\(getpid())"
        defer { try? FileSystem.removeFile(path) }
        let content = bytes((5 << 20) + 17)
        #expect(try written(content, to: path, piece: 1 << 20) == content)
    }

    @Test func goesOnBehindWhatAShortWriteLeft() throws {
        let folder = try TemporaryFolder()
        let file = try OpenFile(creating: folder("file"))
        let content = bytes((4 << 20) + 5)
        let writer = BlockWriter(file, patience: .waitsForDisk)
        try writer.append(Array(content[..<(2 << 20)]))
        try writer.append(Array(content[(2 << 20)...]))
        try writer.finish()
        // A part of a page behind a direct block: the same file, through the page cache.
        try file.write(Array(content[..<100]))
        #expect(try FileSystem.read(folder("file")) == content + content[..<100])
    }

    @Test func tellsWhatABlockRanInto() throws {
        // Opened for reading alone: each write fails.
        let folder = try TemporaryFolder()
        try folder.write("file", [])
        let writer = BlockWriter(try OpenFile(reading: folder("file")), patience: .leavesSlowDisk)
        #expect(throws: MLOpsError.self) {
            for _ in 0..<8 { try writer.append(bytes(1 << 20)) }
            try writer.finish()
        }
        let lender = BlockWriter(try OpenFile(reading: folder("file")), patience: .leavesSlowDisk)
        let lent = PagePool(byteCount: 1 << 20).take(1 << 20)
        lent.memory.initializeMemory(as: UInt8.self, repeating: 7)
        #expect(throws: MLOpsError.self) {
            for _ in 0..<8 { try lender.append(lending: lent) }
            try lender.finish()
        }
    }

    private func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
    }

    private func written(_ content: [UInt8], to path: String, piece: Int) throws -> [UInt8] {
        let writer = BlockWriter(try OpenFile(creating: path), patience: .leavesSlowDisk)
        for start in stride(from: 0, to: content.count, by: piece) {
            try writer.append(Array(content[start..<min(start + piece, content.count)]))
        }
        try writer.finish()
        #expect(writer.byteCount == Int64(content.count))
        return try FileSystem.read(path)
    }
}
