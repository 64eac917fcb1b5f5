internal import Basics
internal import CZstd

/// zstd with its working memory kept between calls. Not shared: each worker has its own.
// @unchecked: handed from task to task, never used by two at once.
final class Compressor: @unchecked Sendable {
    /// Above this share of its size a sample does not pay.
    private static let worthwhileShare = 0.9
    private static let sampleLength = 4096
    private static let level: Int32 = 3

    private let context: OpaquePointer?
    private var output: [UInt8]

    init() {
        context = ZSTD_createCCtx()
        output = []
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Whether `plain` may shrink: false for bytes that look random, which is told by counting some from the middle.
    ///
    /// Of random bytes every value is about as frequent, with a chi-squared statistic of 255 ± 23. Whatever an entropy coder
    /// gains 1 % on lies above 400, and so do bytes that repeat within the sample.
    static func isWorthTrying(_ plain: UnsafeRawBufferPointer) -> Bool {
        guard plain.count >= 64 else { return false }
        guard plain.count >= 1024 else { return true }
        let length = min(plain.count, sampleLength)
        let start = (plain.count - length) / 2
        let squares = withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { counts in
            counts.update(repeating: 0)
            for index in start..<start + length { counts[Int(plain[index])] &+= 1 }
            return counts.reduce(0) { $0 + Int($1) * Int($1) }
        }
        return Double(squares) * 256 / Double(length) - Double(length) > 400
    }

    /// The zstd frame of `plain`, or nil where a sample from its middle does not shrink by more than 10 %.
    func compress(_ plain: UnsafeRawBufferPointer) -> [UInt8]? {
        guard let context, Compressor.isWorthTrying(plain) else { return nil }
        let bound = ZSTD_compressBound(plain.count)
        if output.count < bound { output = [UInt8](repeating: 0, count: bound) }
        if plain.count > 2 * Compressor.sampleLength {
            let start = (plain.count - Compressor.sampleLength) / 2
            let sample = UnsafeRawBufferPointer(rebasing: plain[start..<start + Compressor.sampleLength])
            guard let size = run(context, sample, level: 1), isWorthwhile(size, of: sample.count) else { return nil }
        }
        guard let size = run(context, plain, level: Compressor.level), isWorthwhile(size, of: plain.count) else {
            return nil
        }
        return Array(output[..<size])
    }

    private func isWorthwhile(_ size: Int, of plain: Int) -> Bool {
        Double(size) < Compressor.worthwhileShare * Double(plain)
    }

    private func run(_ context: OpaquePointer, _ plain: UnsafeRawBufferPointer, level: Int32) -> Int? {
        let size = output.withUnsafeMutableBytes {
            ZSTD_compressCCtx(context, $0.baseAddress, $0.count, plain.baseAddress, plain.count, level)
        }
        return ZSTD_isError(size) == 0 ? size : nil
    }
}

/// The `plainLength` bytes in the zstd frame `stored`; nil if it is broken or holds another count.
func decompress(_ stored: UnsafeRawBufferPointer, plainLength: Int) -> [UInt8]? {
    var isComplete = false
    let plain = [UInt8](unsafeUninitializedCapacity: plainLength) { buffer, initialized in
        let size = ZSTD_decompress(buffer.baseAddress, plainLength, stored.baseAddress, stored.count)
        isComplete = ZSTD_isError(size) == 0 && size == plainLength
        initialized = isComplete ? plainLength : 0
    }
    return isComplete ? plain : nil
}
