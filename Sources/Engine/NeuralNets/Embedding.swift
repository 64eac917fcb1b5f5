public import Basics
public import Tensors

/// A table of vectors, looked up by i64 indices: `[…]` to `[…, width]`.
public final class Embedding: Module {
    public let weight: Parameter

    public init(
        _ count: Int, width: Int, initializer: Initializer = .normal(deviation: 1), dtype: DType = .f32,
        using generator: inout Philox
    ) {
        precondition(count > 0 && width > 0, "an embedding of \(count) entries of \(width) values cannot be")
        weight = Parameter(initializer([count, width], dtype: dtype, using: &generator))
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] { [("weight", weight)] }

    public override func forward(_ x: Tensor) throws -> Tensor { try weight.value.gatherRows(x) }
}
