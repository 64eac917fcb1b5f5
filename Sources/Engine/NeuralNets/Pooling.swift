internal import Basics
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

/// The mean of each channel of images: `[N, C, H, W]` to `[N, C]`.
public final class GlobalAvgPool2d: Module {
    public override init() {}

    public override func forward(_ x: Tensor) throws -> Tensor {
        try requireImages("globalAvgPool2d", x)
        // One window over all, which reads pictures as they lie.
        return try x.avgPool2d(Window(height: x.shape[2], width: x.shape[3])).reshaped([x.shape[0], x.shape[1]])
    }
}

/// The mean under `height` × `width` windows that cover images `[N, C, H, W]` evenly: window i of n spans rows
/// ⌊i·H / n⌋ ..< ⌈(i + 1)·H / n⌉.
public final class AdaptiveAvgPool2d: Module {
    public let height: Int
    public let width: Int

    public init(_ height: Int, _ width: Int) {
        precondition(height > 0 && width > 0, "pooling to \(height) × \(width) cannot be")
        self.height = height
        self.width = width
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try requireImages("adaptiveAvgPool2d", x)
        if x.shape[2] % height == 0, x.shape[3] % width == 0 {
            let kernel = (x.shape[2] / height, x.shape[3] / width)
            var window = Window(height: kernel.0, width: kernel.1)
            (window.strideY, window.strideX) = kernel
            return try x.avgPool2d(window)
        }
        let rows = AdaptiveAvgPool2d.means(of: x.shape[2], in: height, dtype: x.dtype)
        let columns = AdaptiveAvgPool2d.means(of: x.shape[3], in: width, dtype: x.dtype)
        return try rows.matmul(x.matmul(columns, transposesSelf: false, transposesOther: true))
    }

    /// `[count, extent]`: the share of each place in each window.
    private static func means(of extent: Int, in count: Int, dtype: DType) -> Tensor {
        var shares = [Double](repeating: 0, count: count * extent)
        for window in 0..<count {
            let places = window * extent / count..<((window + 1) * extent + count - 1) / count
            for place in places { shares[window * extent + place] = 1 / Double(places.count) }
        }
        return dtype == .f64
            ? Tensor(shares, shape: [count, extent]) : Tensor(shares.map(Float.init), shape: [count, extent])
    }
}

private func requireImages(_ name: String, _ x: Tensor) throws {
    guard x.rank == 4, x.count > 0 else {
        throw MLOpsError(
            .failed, "`\(name)`: shape \(x.shape) is not that of images",
            hint: "images are [N, C, height, width], none of them 0")
    }
}

/// All axes from `axis` on as one; the batch stays unless told otherwise.
public final class Flatten: Module {
    public let axis: Int

    public init(from axis: Int = 1) { self.axis = axis }

    public override func forward(_ x: Tensor) throws -> Tensor { try x.flattened(from: axis) }
}
