internal import Basics
public import Tensors

/// Normalisation of each group of channels of each example by its own mean and variance (Wu & He, 2018); the same in training
/// and inference, whatever the batch. Inputs are `[N, C, …]`.
public class GroupNorm: Module {
    public let groups: Int
    public let channels: Int
    public let epsilon: Double
    /// One value for each channel, unless made without.
    public let weight: Parameter?
    public let bias: Parameter?

    public init(groups: Int, channels: Int, epsilon: Double = 1e-5, isAffine: Bool = true, dtype: DType = .f32) {
        precondition(
            groups > 0 && channels > 0 && channels % groups == 0,
            "\(channels) channels do not divide into \(groups) groups")
        self.groups = groups
        self.channels = channels
        self.epsilon = epsilon
        weight = isAffine ? Parameter(.ones([channels], dtype: dtype)) : nil
        bias = isAffine ? Parameter(.zeros([channels], dtype: dtype)) : nil
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] {
        (weight.map { [("weight", $0)] } ?? []) + (bias.map { [("bias", $0)] } ?? [])
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        guard x.rank >= 2, x.shape[1] == channels, x.count > 0 else {
            throw MLOpsError(
                .failed, "`groupNorm`: shape \(x.shape) does not fit \(kind) of \(channels) channels",
                hint: "inputs are [N, C, …] with C = \(channels)")
        }
        let rows = try x.reshaped([x.shape[0] * groups, x.count / (x.shape[0] * groups)])
        var result = try rows.layerNorm(weight: nil, bias: nil, epsilon: epsilon).reshaped(x.shape)
        let along = [channels] + [Int](repeating: 1, count: x.rank - 2)
        if let weight { result = try result * weight.value.reshaped(along) }
        if let bias { result = try result + bias.value.reshaped(along) }
        return result
    }
}

/// Normalisation of each channel of each image by its own mean and variance (Ulyanov et al., 2016). Like PyTorch's it has no
/// weights and no running statistics unless `isAffine`.
public final class InstanceNorm2d: GroupNorm {
    public init(channels: Int, epsilon: Double = 1e-5, isAffine: Bool = false, dtype: DType = .f32) {
        super.init(groups: channels, channels: channels, epsilon: epsilon, isAffine: isAffine, dtype: dtype)
    }
}
