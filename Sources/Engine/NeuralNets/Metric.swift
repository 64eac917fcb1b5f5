public import Tensors

/// A number between output and target that is averaged over examples, such as accuracy.
public struct Metric: Sendable {
    public let name: String
    /// The sum over the batch's examples.
    public let sum: @Sendable (_ output: Tensor, _ target: Tensor) throws -> Double

    public init(_ name: String, sum: @escaping @Sendable (_ output: Tensor, _ target: Tensor) throws -> Double) {
        self.name = name
        self.sum = sum
    }

    /// The share of examples whose largest logit `[N, classes]` is at the label `[N]`, or at the largest probability `[N, classes]`.
    public static let accuracy = Metric("accuracy") { output, target in
        let target = target.rank == 2 ? try target.argmax(axis: -1) : target
        let guesses = try output.detached.argmax(axis: -1).int64s()
        return Double(zip(guesses, target.int64s()).count { $0 == $1 })
    }

    /// The share of examples whose logit (`[N]` or `[N, 1]`) is positive exactly if the target is above a half.
    public static let binaryAccuracy = Metric("accuracy") { output, target in
        Double(zip(output.floats(), target.floats()).count { ($0 > 0) == ($1 > 0.5) })
    }
}
