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
