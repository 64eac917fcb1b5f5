internal import Basics
internal import CKernels

/// How a window moves over the height and width of images.
public struct Window: Sendable, Hashable, Codable {
    public var kernelHeight: Int
    public var kernelWidth: Int
    public var strideY: Int
    public var strideX: Int
    public var paddingY: Int
    public var paddingX: Int
    public var dilationY: Int
    public var dilationX: Int

    /// A window whose two directions are alike but for the kernel's extents.
    public init(height: Int, width: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1) {
        kernelHeight = height
        kernelWidth = width
        strideY = stride
        strideX = stride
        paddingY = padding
        paddingX = padding
        dilationY = dilation
        dilationX = dilation
    }

    /// The kernels' description of this window over planes of `height` and `width`.
    ///
    /// - Throws: if the window does not fit into the padded plane once.
    func geometry(_ operation: String, channels: Int, height: Int, width: Int) throws -> ck_window {
        guard kernelHeight > 0, kernelWidth > 0, strideY > 0, strideX > 0, paddingY >= 0, paddingX >= 0, dilationY > 0,
            dilationX > 0
        else { throw MLOpsError(.failed, "`\(operation)`: the window \(self) is impossible") }
        let spanY = dilationY * (kernelHeight - 1) + 1
        let spanX = dilationX * (kernelWidth - 1) + 1
        guard height + 2 * paddingY >= spanY, width + 2 * paddingX >= spanX else {
            throw shapeError(
                operation, [height, width], [spanY, spanX], "the window is larger than the image with its padding")
        }
        return ck_window(
            channels: Int32(channels), height: Int32(height), width: Int32(width), kernelHeight: Int32(kernelHeight),
            kernelWidth: Int32(kernelWidth), strideY: Int32(strideY), strideX: Int32(strideX), padY: Int32(paddingY),
            padX: Int32(paddingX), dilationY: Int32(dilationY), dilationX: Int32(dilationX),
            outHeight: Int32((height + 2 * paddingY - spanY) / strideY + 1),
            outWidth: Int32((width + 2 * paddingX - spanX) / strideX + 1))
    }
}
