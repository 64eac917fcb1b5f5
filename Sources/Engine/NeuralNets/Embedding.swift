public import Basics
public import Tensors

/// A table of vectors, looked up by i64 indices: `[…]` to `[…, width]`.
public final class Embedding: Module {
    public let weight: Parameter
    /// An entry that starts as zeros and gets no gradient: that of places which are only filled up.
    public let paddingIndex: Int?
    private let isTrained: Tensor?

    public init(
        _ count: Int, width: Int, paddingIndex: Int? = nil, initializer: Initializer = .normal(deviation: 1),
        dtype: DType = .f32, using generator: inout Philox
    ) {
        precondition(count > 0 && width > 0, "an embedding of \(count) entries of \(width) values cannot be")
        precondition(
            paddingIndex.map { (0..<count).contains($0) } ?? true,
            "padding index \(paddingIndex ?? 0) is not in 0 ..< \(count)")
        self.paddingIndex = paddingIndex
        var table = initializer([count, width], dtype: dtype, using: &generator)
        if let paddingIndex {
            var mask = Tensor.ones([count, 1], dtype: dtype)
            Embedding.clear(row: paddingIndex, of: &table)
            Embedding.clear(row: paddingIndex, of: &mask)
            isTrained = mask
        } else {
            isTrained = nil
        }
        weight = Parameter(table)
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] { [("weight", weight)] }

    public override func forward(_ x: Tensor) throws -> Tensor {
        guard let isTrained else { return try weight.value.gatherRows(x) }
        let table = Tensor.custom("paddedTable", output: weight.value, inputs: [weight.value]) {
            [try $0 * isTrained]
        }
        return try table.gatherRows(x)
    }

    private static func clear(row: Int, of table: inout Tensor) {
        let width = table.byteCount / table.shape[0]
        table.withUnsafeMutableBytes { bytes in
            for index in row * width..<(row + 1) * width { bytes[index] = 0 }
        }
    }
}
