import Basics
import TestSupport
import Testing

@testable import Interchange

@Suite struct TensorBoardTests {
    @Test func theChecksumIsThatOfRFC3720() {
        // B.4 of RFC 3720: 32 bytes of zeros, of ones, and the check value of "123456789".
        #expect(TensorBoardRecord.crc32c(Array(repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(TensorBoardRecord.crc32c(Array(repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(TensorBoardRecord.crc32c(Array("123456789".utf8)) == 0xE306_9283)
    }

    /// `Tests/Fixtures/interchange/make_tensorboard.py` wrote the fixture with the real package, and reads it back.
    @Test func anEventFileIsAsTensorBoardItselfWritesIt() throws {
        let folder = try TemporaryFolder()
        let start = Timestamp(milliseconds: 1_700_000_000_125)
        let writer = try TensorBoardWriter(folder: folder("tb"), start: start)
        for step in 1...3 {
            try writer.add(
                ["loss/train": 1 / Double(step), "accuracy/train": 0.5 + Double(step) / 10], step: Int64(step),
                at: Timestamp(milliseconds: start.milliseconds + Int64(step) * 1000))
        }
        let name = try #require(try FileSystem.list(folder("tb")).first)
        #expect(name.hasPrefix("events.out.tfevents.1700000000."))
        let bytes = try FileSystem.read(FileSystem.join(folder("tb"), name))
        let fixture = FileSystem.absolute("\(#filePath)/../../../Fixtures/interchange/curves.tfevents")
        #expect(try FileSystem.read(fixture) == bytes)
    }
}
