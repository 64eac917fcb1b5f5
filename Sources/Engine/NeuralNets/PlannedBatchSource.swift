/// A source that makes its batches ahead, or changes them from epoch to epoch, once it knows which will be asked for.
public protocol PlannedBatchSource: BatchSource {
    /// Tells that `epoch` (from 1) will ask for exactly `batches`, in this order.
    func begin(epoch: Int, batches: [[Int]])
}
