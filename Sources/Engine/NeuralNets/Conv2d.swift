public import Basics
public import Tensors

/// A convolution of images `[N, C, H, W]`.
public final class Conv2d: Module {
    /// `[out, in / groups, height, width]`.
    public let weight: Parameter
    public let bias: Parameter?
    public let window: Window
    public let groups: Int

    /// - Precondition: the channels divide into the groups.
    public init(
        _ inputs: Int, _ outputs: Int, window: Window, groups: Int = 1, hasBias: Bool = true,
        initializer: Initializer = .standard, dtype: DType = .f32, using generator: inout Philox
    ) {
        precondition(
            groups > 0 && inputs % groups == 0 && outputs % groups == 0,
            "\(inputs) and \(outputs) channels do not divide into \(groups) groups")
        self.window = window
        self.groups = groups
        let shape = [outputs, inputs / groups, window.kernelHeight, window.kernelWidth]
        weight = Parameter(initializer(shape, dtype: dtype, using: &generator))
        let bound = 1 / Double(Array(shape.dropFirst()).product).squareRoot()
        bias =
            hasBias ? Parameter(.uniform([outputs], in: -bound..<bound, dtype: dtype, using: &generator)) : nil
    }

    /// A convolution with a square kernel.
    public convenience init(
        _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
        groups: Int = 1,
        hasBias: Bool = true, initializer: Initializer = .standard, dtype: DType = .f32, using generator: inout Philox
    ) {
        self.init(
            inputs, outputs,
            window: Window(height: kernel, width: kernel, stride: stride, padding: padding, dilation: dilation),
            groups: groups, hasBias: hasBias, initializer: initializer, dtype: dtype, using: &generator)
    }

    public override var ownParameters: [(name: String, parameter: Parameter)] {
        [("weight", weight)] + (bias.map { [("bias", $0)] } ?? [])
    }

    public override func forward(_ x: Tensor) throws -> Tensor { try forward(x, adding: nil, activation: .none) }

    override var canFuse: Bool { true }

    override func forward(_ x: Tensor, adding residual: Tensor?, activation: FusedActivation) throws -> Tensor {
        try x.conv2d(
            weight: weight.value, bias: bias?.value, window: window, groups: groups, adding: residual,
            activation: activation)
    }
}
