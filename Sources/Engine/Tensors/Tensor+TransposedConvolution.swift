extension Tensor {
    /// Transposed convolution of images `[N, C, H, W]`: what a convolution with this weight and window does to gradients.
    ///
    /// - Parameters:
    ///   - weight: `[C, O / groups, height, width]`.
    ///   - bias: `[O]`, or nil.
    ///   - window: of the convolution; its kernel must be the weight's.
    ///   - outputPadding: rows and columns added at the end, fewer than the stride or the dilation.
    /// - Returns: `[N, O, (H - 1)·stride - 2·padding + dilation·(height - 1) + outputPadding + 1, …]`.
    public func convTranspose2d(
        weight: Tensor, bias: Tensor? = nil, window: Window, outputPadding: Int = 0, groups: Int = 1
    ) throws -> Tensor {
        let name = "convTranspose2d"
        try requireFloat(name, self)
        try requireSameType(name, self, weight)
        guard rank == 4, weight.rank == 4 else {
            throw shapeError(name, shape, weight.shape, "expected [N, C, H, W] and [C, O / groups, height, width]")
        }
        guard groups > 0, shape[1] == weight.shape[0], shape[1] % groups == 0 else {
            throw shapeError(
                name, shape, weight.shape,
                "the weight's first extent must be the input's channels, which divide into \(groups) groups")
        }
        let most = Swift.max(Swift.min(window.strideY, window.strideX), Swift.min(window.dilationY, window.dilationX))
        guard outputPadding >= 0, outputPadding < most else {
            throw shapeError(
                name, shape, weight.shape, "output padding \(outputPadding) is not smaller than stride or dilation")
        }
        let height =
            (shape[2] - 1) * window.strideY - 2 * window.paddingY + window.dilationY * (window.kernelHeight - 1)
            + outputPadding + 1
        let width =
            (shape[3] - 1) * window.strideX - 2 * window.paddingX + window.dilationX * (window.kernelWidth - 1)
            + outputPadding + 1
        guard height > 0, width > 0 else {
            throw shapeError(name, shape, weight.shape, "the output would have extents \(height) and \(width)")
        }
        let convolution = try Convolution(
            [shape[0], weight.shape[1] * groups, height, width], weight.shape, window: window, groups: groups,
            dtype: dtype)
        let output = try convolutionInputGradient(weight, convolution, window)
        guard let bias else { return output }
        try requireSameType(name, self, bias)
        guard bias.shape == [output.shape[1]] else {
            throw shapeError(name, weight.shape, bias.shape, "the bias must have shape [\(output.shape[1])]")
        }
        return try output + bias.reshaped([1, output.shape[1], 1, 1])
    }
}
