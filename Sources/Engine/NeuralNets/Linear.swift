public import Basics
public import Tensors

/// A dense layer: `[…, in]` to `[…, out]`, x·Wᵀ + b.
public final class Linear: Module {
    public let weight: Parameter
    public let bias: Parameter?
    public var inputs: Int { weight.value.shape[1] }
    public var outputs: Int { weight.value.shape[0] }

    /// - Parameters:
    ///   - initializer: of the weight; the bias is uniform within ±1 / √in, as PyTorch has it.
    public init(
        _ inputs: Int, _ outputs: Int, hasBias: Bool = true, initializer: Initializer = .standard, dtype: DType = .f32,
        using generator: inout Philox
    ) {
        precondition(inputs > 0 && outputs > 0, "a dense layer from \(inputs) to \(outputs) values cannot be")
        weight = Parameter(initializer([outputs, inputs], dtype: dtype, using: &generator))
        let bound = 1 / Double(inputs).squareRoot()
        bias =
            hasBias ? Parameter(.uniform([outputs], in: -bound..<bound, dtype: dtype, using: &generator)) : nil
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] {
        [("weight", weight)] + (bias.map { [("bias", $0)] } ?? [])
    }

    public override func forward(_ x: Tensor) throws -> Tensor { try x.linear(weight: weight.value, bias: bias?.value) }
}
