import ArtifactRegistry
import Basics
import TestSupport
import Testing

@Suite struct EventBitFlipTests {
    /// The chain vouches for all events but the last, whose checksum does.
    @Test func everyFlippedBitOfAnEventIsNoticed() async throws {
        let scratch = try ScratchRegistry()
        try await scratch.publish("one", "two")
        var total = 0
        for number in 1...2 {
            let path = scratch.path(number)
            let good = try FileSystem.read(path)
            for bit in 0..<good.count * 8 {
                var bytes = good
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                try OpenFile(creating: path + ".new", mode: 0o644).write(bytes)
                try FileSystem.rename(path + ".new", to: path)
                await #expect(throws: MLOpsError.self, "bit \(bit) of event \(number)") {
                    try await scratch.fresh.history(of: scratch.artifact)
                }
            }
            total += good.count * 8
            try FileSystem.replace(path, with: good)
        }
        print("bit flips: events \(total)/\(total) noticed")
    }
}
