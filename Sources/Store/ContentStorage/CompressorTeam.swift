internal import Dispatch
internal import Synchronization

/// Compressors that work on several pieces at a time. One task at a time uses a team.
final class CompressorTeam: Sendable {
    private let members: [Compressor]

    init(jobs: Int) { members = (0..<jobs).map { _ in Compressor() } }

    /// The zstd frames of the pieces that shrink enough; nil for the others.
    func compress(_ pieces: [UnsafeRawBufferPointer]) -> [[UInt8]?] {
        let worthy = pieces.indices.filter { Compressor.isWorthTrying(pieces[$0]) }
        guard !worthy.isEmpty else { return [[UInt8]?](repeating: nil, count: pieces.count) }
        nonisolated(unsafe) let input = pieces
        let output = Mutex([[UInt8]?](repeating: nil, count: pieces.count))
        let lanes = min(members.count, worthy.count)
        let next = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: lanes) { lane in
            while true {
                let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard turn < worthy.count else { return }
                let frame = members[lane].compress(input[worthy[turn]])
                output.withLock { $0[worthy[turn]] = frame }
            }
        }
        return output.withLock { $0 }
    }
}
