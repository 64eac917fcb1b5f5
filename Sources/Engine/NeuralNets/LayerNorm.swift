public import Tensors

/// Normalisation of each row, the last axis (Ba et al., 2016).
public final class LayerNorm: Module {
    public let weight: Parameter
    public let bias: Parameter
    public let epsilon: Double

    public init(_ width: Int, epsilon: Double = 1e-5, dtype: DType = .f32) {
        precondition(width > 0, "layer norm of \(width) values cannot be")
        weight = Parameter(.ones([width], dtype: dtype))
        bias = Parameter(.zeros([width], dtype: dtype))
        self.epsilon = epsilon
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] { [("weight", weight), ("bias", bias)] }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try x.layerNorm(weight: weight.value, bias: bias.value, epsilon: epsilon)
    }
}
