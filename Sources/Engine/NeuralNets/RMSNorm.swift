public import Tensors

/// Division of each row, the last axis, by its root mean square (Zhang & Sennrich, 2019).
public final class RMSNorm: Module {
    public let weight: Parameter
    public let epsilon: Double

    /// - Parameter epsilon: nil means the distance from 1 to the next number of the dtype, as PyTorch has it.
    public init(_ width: Int, epsilon: Double? = nil, dtype: DType = .f32) {
        precondition(width > 0, "RMS norm of \(width) values cannot be")
        weight = Parameter(.ones([width], dtype: dtype))
        self.epsilon = epsilon ?? (dtype == .f64 ? Double.ulpOfOne : Double(Float.ulpOfOne))
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] { [("weight", weight)] }

    public override func forward(_ x: Tensor) throws -> Tensor {
        let scale = try x.square().mean(axes: [-1], keepsAxes: true).shifted(by: epsilon).sqrt().reciprocal()
        return try x * scale * weight.value
    }
}
