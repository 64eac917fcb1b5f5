internal import COneDNN
internal import Synchronization

/// Weights as the plans of convolutions want them laid out, kept beside the weights until these change.
struct PackedWeights {
    private static let lock = Mutex(())
    private var entries: [(layout: UInt64, storage: TensorStorage)] = []

    /// `weight` in the layout of `plan`, from what is kept or laid out now.
    static func of(_ weight: Tensor, for plan: ConvolutionPlan) -> TensorStorage {
        let layout = mlops_dnn_weight_layout(plan.pointer)
        // Only a tensor that has its memory to itself can say when that changes.
        let isWhole = weight.isContiguous && weight.offset == 0 && weight.byteCount <= weight.storage.byteCount
        return lock.withLock { _ in
            if isWhole, let known = weight.storage.packed?.entries.first(where: { $0.layout == layout }) {
                return known.storage
            }
            let storage = TensorStorage(byteCount: plan.weightBytes)
            let plain = weight.contiguous()
            mlops_dnn_pack(
                plan.pointer, plain.pointer.assumingMemoryBound(to: Float.self),
                storage.pointer.assumingMemoryBound(to: Float.self))
            if isWhole {
                var packed = weight.storage.packed ?? PackedWeights()
                packed.entries.append((layout, storage))
                weight.storage.packed = packed
            }
            return storage
        }
    }
}
