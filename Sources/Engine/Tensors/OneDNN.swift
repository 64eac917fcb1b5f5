internal import CKernels
internal import COneDNN

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
