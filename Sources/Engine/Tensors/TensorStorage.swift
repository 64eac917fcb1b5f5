internal import CKernels

/// The bytes of tensors: 64-byte aligned, from the engine's pool, given back when the last tensor lets go.
///
/// `@unchecked Sendable`: bytes are written only before the storage is shared, or by the one holder of a unique reference;
/// `packed` is read and written under its own lock.
final class TensorStorage: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    let byteCount: Int
    /// Copies of these bytes in other orders, while the bytes stay as they are; see `PackedWeights`.
    var packed: PackedWeights?

    /// Uninitialised bytes.
    init(byteCount: Int) {
        guard let pointer = ck_allocate(byteCount) else {
            fatalError("out of memory: the system has no \(byteCount) bytes for a tensor")
        }
        self.pointer = pointer
        self.byteCount = byteCount
    }

    deinit { ck_release(pointer, byteCount) }
}

/// What the engine's memory pool holds.
public struct EngineMemory: Sendable, Hashable {
    /// Bytes that tensors use now.
    public var liveBytes: Int
    /// Bytes kept for tensors to come.
    public var pooledBytes: Int
    /// The most bytes that tensors ever used at once.
    public var peakBytes: Int

    /// The present state.
    public static var now: EngineMemory {
        var live = 0
        var pooled = 0
        var peak = 0
        ck_memory_use(&live, &pooled, &peak)
        return EngineMemory(liveBytes: live, pooledBytes: pooled, peakBytes: peak)
    }

    /// Bytes that the calling thread took for tensors less those that it gave back: what tests watch, whatever others do.
    package static var balanceOfThread: Int { Int(ck_memory_of_thread()) }

    /// Sets how many unused bytes the pool may keep and returns what is above that to the system. At first it is 1 GiB or, once
    /// more than that was in use, what brings it to the most that was in use at once.
    public static func limitPool(to byteCount: Int) {
        precondition(byteCount >= 0, "a pool of \(byteCount) bytes cannot be")
        ck_limit_pool(byteCount)
    }
}
