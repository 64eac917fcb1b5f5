public import Basics
public import Tensors

/// A transposed convolution of images `[N, C, H, W]`, which makes them larger. Where the kernel is no multiple of the stride,
/// places get unequally many contributions, which shows as a checkerboard.
public final class ConvTranspose2d: Module {
    /// `[in, out / groups, height, width]`.
    public let weight: Parameter
    public let bias: Parameter?
    public let window: Window
    public let outputPadding: Int
    public let groups: Int

    /// - Parameter outputPadding: rows and columns added at the end, fewer than the stride or the dilation.
    public convenience init(
        _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, outputPadding: Int = 0,
        dilation: Int = 1, groups: Int = 1, hasBias: Bool = true, initializer: Initializer = .standard,
        dtype: DType = .f32, using generator: inout Philox
    ) {
        self.init(
            inputs, outputs,
            window: Window(height: kernel, width: kernel, stride: stride, padding: padding, dilation: dilation),
            outputPadding: outputPadding, groups: groups, hasBias: hasBias, initializer: initializer, dtype: dtype,
            using: &generator)
    }

    /// The same with a window whose directions may differ.
    public init(
        _ inputs: Int, _ outputs: Int, window: Window, outputPadding: Int = 0, groups: Int = 1, hasBias: Bool = true,
        initializer: Initializer = .standard, dtype: DType = .f32, using generator: inout Philox
    ) {
        precondition(
            groups > 0 && inputs % groups == 0 && outputs % groups == 0,
            "\(inputs) and \(outputs) channels do not divide into \(groups) groups")
        self.window = window
        self.outputPadding = outputPadding
        self.groups = groups
        let shape = [inputs, outputs / groups, window.kernelHeight, window.kernelWidth]
        weight = Parameter(initializer(shape, dtype: dtype, using: &generator))
        let bound = 1 / Double(shape[1...].reduce(1, *)).squareRoot()
        bias =
            hasBias ? Parameter(.uniform([outputs], in: -bound..<bound, dtype: dtype, using: &generator)) : nil
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] {
        [("weight", weight)] + (bias.map { [("bias", $0)] } ?? [])
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try x.convTranspose2d(
            weight: weight.value, bias: bias?.value, window: window, outputPadding: outputPadding, groups: groups)
    }
}
