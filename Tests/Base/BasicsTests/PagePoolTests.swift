import Testing

@testable import Basics

@Suite struct PagePoolTests {
    @Test func memoryMadeReadyMayBeFilledMeanwhile() {
        for _ in 0..<10 {
            let pool = PagePool(byteCount: 5 << 20)
            pool.prepare(3)
            let taken = (1...4).map { number in
                let bytes = pool.take(5_000_000, phase: number)
                bytes.memory.initializeMemory(as: UInt8.self, repeating: UInt8(number))
                return bytes
            }
            for (number, bytes) in zip(1..., taken) { #expect(bytes.bytes.allSatisfy { $0 == UInt8(number) }) }
        }
    }
}
