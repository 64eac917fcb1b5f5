internal import COneDNN
internal import Glibc

/// Weights as the plans of convolutions want them laid out, and convolutions made ready with them, kept beside the weights until
/// these change.
struct PackedWeights {
    private static let lock = ThreadLock()
    /// Shapes of pictures that one layer is kept ready for.
    private static let most = 8

    private var layouts: [(layout: UInt64, storage: TensorStorage)] = []
    private var convolutions: [(description: mlops_dnn_convolution, prepared: PreparedConvolution)] = []

    /// `weight` in the layout of `plan`, from what is kept or laid out now.
    static func of(_ weight: Tensor, for plan: ConvolutionPlan) -> TensorStorage {
        let layout = mlops_dnn_weight_layout(plan.pointer)
        if let known = kept(weight, { $0.layouts.first { $0.layout == layout }?.storage }) { return known }
        let storage = TensorStorage(byteCount: plan.weightBytes)
        let plain = weight.contiguous()
        mlops_dnn_pack(
            plan.pointer, plain.pointer.assumingMemoryBound(to: Float.self),
            storage.pointer.assumingMemoryBound(to: Float.self))
        keep(weight) { $0.layouts.append((layout, storage)) }
        return storage
    }

    /// The convolution of `description` with `weight`, from what is kept or made by `make` now.
    static func prepared(
        _ weight: Tensor, for description: mlops_dnn_convolution, make: () -> PreparedConvolution?
    ) -> PreparedConvolution? {
        if let known = kept(weight, { $0.convolutions.first { isSame($0.description, description) }?.prepared }) {
            return known
        }
        guard let made = make() else { return nil }
        keep(weight) {
            if $0.convolutions.count == most { $0.convolutions.removeFirst() }
            $0.convolutions.append((description, made))
        }
        return made
    }

    private static func isSame(_ left: mlops_dnn_convolution, _ right: mlops_dnn_convolution) -> Bool {
        var (left, right) = (left, right)
        return memcmp(&left, &right, MemoryLayout<mlops_dnn_convolution>.size) == 0
    }

    private static func kept<Value>(_ weight: Tensor, _ find: (PackedWeights) -> Value?) -> Value? {
        guard isWhole(weight) else { return nil }
        let packed = lock.withLock { weight.storage.packed }
        return packed.flatMap(find)
    }

    /// Only a tensor that fills its memory from the start is told by it from others.
    private static func isWhole(_ weight: Tensor) -> Bool { weight.isContiguous && weight.offset == 0 }

    private static func keep(_ weight: Tensor, _ change: (inout PackedWeights) -> Void) {
        guard isWhole(weight) else { return }
        lock.withLock {
            var packed = weight.storage.packed ?? PackedWeights()
            change(&packed)
            weight.storage.packed = packed
        }
    }
}

/// A lock of POSIX threads. The thread sanitizer follows it, while a contended `Mutex` is handed on by the kernel behind its back.
private final class ThreadLock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
