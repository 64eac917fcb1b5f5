internal import CKernels
internal import COneDNN

/// What may be done to each value of an operation's output in the same pass over memory.
public enum FusedActivation: String, Sendable, Codable {
    case none
    /// max(x, 0).
    case relu
    /// x cut to 0 ... 6 (Howard et al., 2017).
    case relu6

    /// The largest value that it lets through; nil if it does nothing.
    var limit: Double? {
        switch self {
        case .none: nil
        case .relu: .infinity
        case .relu6: 6
        }
    }
}

/// The library of quick convolutions and products, if it is installed. Without it the plain path does the same work.
enum OneDNN {
    /// Whether this thread may use it: it is there, and nobody asked for the plain kernels.
    static var isUsable: Bool { KernelLevel.current > 0 && mlops_dnn_load() == 0 }
}

/// A convolution of oneDNN made ready for one shape, held in oneDNN's cache while this lives.
///
/// `@unchecked Sendable`: a plan never changes, and each run of it has arguments of its own.
final class ConvolutionPlan: @unchecked Sendable {
    let pointer: OpaquePointer
    /// Bytes of the weights in the plan's layout.
    let weightBytes: Int

    /// nil if oneDNN has no quick code for it.
    init?(_ description: mlops_dnn_convolution) {
        guard let pointer = withUnsafePointer(to: description, { mlops_dnn_acquire($0) }) else { return nil }
        self.pointer = pointer
        weightBytes = mlops_dnn_weight_bytes(pointer)
    }

    deinit { mlops_dnn_release(pointer) }
}

extension Tensor {
    /// activation(this + residual), operation by operation.
    package func finished(adding residual: Tensor?, _ activation: FusedActivation) throws -> Tensor {
        let sum = try residual.map { try self + $0 } ?? self
        switch activation {
        case .none: return sum
        case .relu: return try sum.relu()
        case .relu6: return try sum.relu6()
        }
    }

    /// This gradient where `output`, which `activation` let through, is inside of its bounds, else 0.
    func gated(by output: Tensor, _ activation: FusedActivation) throws -> Tensor {
        guard let limit = activation.limit else { return self }
        if activation == .relu, !isRecording { return laidOut(as: output.layout).slope(CK_RELU, at: output.detached) }
        let mask = try withoutGradients {
            let isAbove = try output.stepped()
            return limit.isFinite ? try isAbove * output.scaled(by: -1).shifted(by: limit).stepped() : isAbove
        }
        return try self * mask
    }
}
