public import Basics
public import Tensors

/// A dense layer whose weights drop in training, each with a probability, and are scaled so that their mean stays (Wan et al.,
/// 2013); a plain dense layer in inference. One mask is drawn for each batch.
public final class DropConnect: Module {
    public let weight: Parameter
    public let bias: Parameter?
    public let probability: Double
    private var generator: Philox

    /// - Parameter seed: of the masks, until `seedRandomness` gives another.
    public init(
        _ inputs: Int, _ outputs: Int, probability: Double = 0.5, hasBias: Bool = true,
        initializer: Initializer = .standard, dtype: DType = .f32, seed: UInt64 = 0, using generator: inout Philox
    ) {
        precondition((0..<1).contains(probability), "drop probability \(probability) is not in 0 ..< 1")
        let layer = Linear(
            inputs, outputs, hasBias: hasBias, initializer: initializer, dtype: dtype, using: &generator)
        weight = layer.weight
        bias = layer.bias
        self.probability = probability
        self.generator = Philox(seed: seed, stream: "drop connect")
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] {
        [("weight", weight)] + (bias.map { [("bias", $0)] } ?? [])
    }

    public override var ownGenerator: Philox? {
        get { generator }
        set { if let newValue { generator = newValue } }
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        let dropped = isTraining ? try weight.value.dropout(probability, using: &generator) : weight.value
        return try x.linear(weight: dropped, bias: bias?.value)
    }
}
