internal import CKernels

/// The one thread pool of the engine. Work is cut into pieces by its size alone, so results do not depend on `count`.
public enum EngineThreads {
    /// Threads that share the work, the caller included; at first one for each processor that the process may use.
    public static var count: Int {
        get { Int(ck_threads()) }
        set { ck_set_threads(Int32(clamping: newValue)) }
    }

    /// What `body` makes of each index below `count`, in their order, on all threads; operations inside of it stay on its thread.
    ///
    /// - Throws: the error of the lowest index that failed, after all have ended.
    package static func map<Result>(_ count: Int, _ body: (Int) throws -> Result) throws -> [Result] {
        var results = [Swift.Result<Result, any Error>?](repeating: nil, count: count)
        results.withUnsafeMutableBufferPointer { places in
            // Each index writes to a place of its own.
            nonisolated(unsafe) let places = places
            inParallel(pieces: count) { index in places[index] = Swift.Result { try body(index) } }
        }
        return try results.compactMap { try $0?.get() }
    }
}

/// What the kernels run on: 0 plain C, 1 AVX2 with FMA, 2 AVX-512.
package enum KernelLevel {
    package static var current: Int { Int(ck_level()) }
    /// Limits what the calling thread computes to `level`, so that a test can compare the plain with the fast kernels.
    package static func limit(to level: Int) { ck_limit_level(Int32(level)) }
}

/// `body` of each piece, on all threads.
func inParallel(pieces: Int, _ body: (Int) -> Void) {
    if pieces == 1 { return body(0) }
    withoutActuallyEscaping(body) { body in
        var body = body
        withUnsafeMutablePointer(to: &body) { pointer in
            ck_parallel(
                pieces,
                { context, index in
                    context?.assumingMemoryBound(to: ((Int) -> Void).self).pointee(index)
                }, pointer)
        }
    }
}

/// `body` of ranges that cover `0 ..< count`, each of `grain` indices but the last, on all threads.
func inParallel(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
    let grain = max(1, grain)
    guard count > grain else {
        if count > 0 { body(0..<count) }
        return
    }
    inParallel(pieces: (count + grain - 1) / grain) { piece in
        body(piece * grain..<min(count, (piece + 1) * grain))
    }
}

/// Elements of a piece of elementwise work: 64 KiB of f32, so that a piece's operands stay in the second cache.
let elementwiseGrain = 16384
