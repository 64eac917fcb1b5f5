public import Tensors

/// The largest value under a moving window; windows do not overlap unless a stride is given.
public final class MaxPool2d: Module {
    public let window: Window

    public init(_ window: Window) { self.window = window }

    public convenience init(kernel: Int, stride: Int? = nil, padding: Int = 0) {
        self.init(Window(height: kernel, width: kernel, stride: stride ?? kernel, padding: padding))
    }

    public override func forward(_ x: Tensor) throws -> Tensor { try x.maxPool2d(window) }
}

/// The mean under a moving window; windows do not overlap unless a stride is given.
public final class AvgPool2d: Module {
    public let window: Window
    public let countsPadding: Bool

    public init(_ window: Window, countsPadding: Bool = true) {
        self.window = window
        self.countsPadding = countsPadding
    }

    public convenience init(kernel: Int, stride: Int? = nil, padding: Int = 0, countsPadding: Bool = true) {
        self.init(
            Window(height: kernel, width: kernel, stride: stride ?? kernel, padding: padding),
            countsPadding: countsPadding)
    }

    public override func forward(_ x: Tensor) throws -> Tensor { try x.avgPool2d(window, countsPadding: countsPadding) }
}

/// All axes from `axis` on as one; the batch stays unless told otherwise.
public final class Flatten: Module {
    public let axis: Int

    public init(from axis: Int = 1) { self.axis = axis }

    public override func forward(_ x: Tensor) throws -> Tensor { try x.flattened(from: axis) }
}
