internal import Basics
public import Tensors

/// Some examples with what the network should say of each; the first axis of both is the batch.
public struct Batch: Sendable {
    public var inputs: Tensor
    public var targets: Tensor

    public init(inputs: Tensor, targets: Tensor) {
        self.inputs = inputs
        self.targets = targets
    }
}

/// Examples by number, from which batches are made.
public protocol BatchSource {
    /// Number of examples.
    var count: Int { get }
    /// The examples at `indices`, each in `0 ..< count`, in that order.
    func batch(_ indices: [Int]) throws -> Batch
}

/// Examples that lie in two tensors.
public struct TensorSource: BatchSource, Sendable {
    public let inputs: Tensor
    public let targets: Tensor
    public var count: Int { inputs.shape.first ?? 0 }

    /// - Throws: if the first extents differ.
    public init(inputs: Tensor, targets: Tensor) throws {
        guard let count = inputs.shape.first, targets.shape.first == count else {
            throw MLOpsError(
                .failed, "inputs of shape \(inputs.shape) and targets of shape \(targets.shape) differ in number")
        }
        self.inputs = inputs.detached
        self.targets = targets.detached
    }

    public func batch(_ indices: [Int]) throws -> Batch {
        let index = Tensor(indices.map(Int64.init))
        return Batch(inputs: try inputs.gatherRows(index), targets: try targets.gatherRows(index))
    }
}
