internal import CKernels

// Pooling of pictures that lie channels last: the channels of a pixel are next to each other, so kernels run over them.

extension Tensor {
    func maxPoolChannelsLast(_ geometry: ck_window, _ target: [Int]) throws -> Tensor {
        let images = ImagesChannelsLast(geometry, input: shape, output: target)
        let index = TensorStorage(byteCount: target.product * 4)
        let output = Tensor(channelsLast: target, dtype: dtype) { bytes in
            images.forEach { image, window in
                ck_max_pool_last(
                    dtype.code, window, base + image * images.inputSize * dtype.size,
                    bytes + image * images.outputSize * dtype.size, images.places(index, image))
            }
        }
        return record("maxPool2d", output, inputs: [self]) { gradient, _ in
            [try gradient.maxPoolSpread(images, index)]
        }
    }

    /// The gradient of a maximum's input from this, that of its output.
    private func maxPoolSpread(_ images: ImagesChannelsLast, _ index: TensorStorage) throws -> Tensor {
        let g = try channelsLast()
        let output = Tensor(channelsLast: images.input, dtype: dtype) { bytes in
            images.forEach { image, window in
                ck_max_pool_last_gradient(
                    dtype.code, window, g.base + image * images.outputSize * dtype.size, images.places(index, image),
                    bytes + image * images.inputSize * dtype.size)
            }
        }
        return record("maxPool2dGradient", output, inputs: [self]) { gradient, _ in
            [try gradient.maxPoolPicked(images, index)]
        }
    }

    /// The values at the places that won: the adjoint of `maxPoolSpread`.
    private func maxPoolPicked(_ images: ImagesChannelsLast, _ index: TensorStorage) throws -> Tensor {
        let x = try channelsLast()
        let output = Tensor(channelsLast: images.output, dtype: dtype) { bytes in
            images.forEach { image, window in
                ck_max_pool_last_picked(
                    dtype.code, window, x.base + image * images.inputSize * dtype.size, images.places(index, image),
                    bytes + image * images.outputSize * dtype.size)
            }
        }
        return record("maxPool2dPicked", output, inputs: [self]) { gradient, _ in
            [try gradient.maxPoolSpread(images, index)]
        }
    }

    func avgPoolChannelsLast(_ geometry: ck_window, _ target: [Int], countsPadding: Bool) -> Tensor {
        let images = ImagesChannelsLast(geometry, input: shape, output: target)
        return Tensor(channelsLast: target, dtype: dtype) { bytes in
            images.forEach { image, window in
                ck_avg_pool_last(
                    dtype.code, window, countsPadding ? 1 : 0, base + image * images.inputSize * dtype.size,
                    bytes + image * images.outputSize * dtype.size)
            }
        }
    }

    /// The gradient of a mean's input, of shape `target`, from this, that of its output.
    func avgPoolGradientChannelsLast(_ geometry: ck_window, _ target: [Int], countsPadding: Bool) -> Tensor {
        let images = ImagesChannelsLast(geometry, input: target, output: shape)
        return Tensor(channelsLast: target, dtype: dtype) { bytes in
            images.forEach { image, window in
                ck_avg_pool_last_gradient(
                    dtype.code, window, countsPadding ? 1 : 0, base + image * images.outputSize * dtype.size,
                    bytes + image * images.inputSize * dtype.size)
            }
        }
    }
}

/// The pictures of a batch and what a window makes of each.
private struct ImagesChannelsLast: @unchecked Sendable {
    // `@unchecked`: the window is a struct of numbers that C declares.
    private let window: ck_window
    let input: [Int]
    let output: [Int]
    /// Values of one picture.
    var inputSize: Int { input[1] * input[2] * input[3] }
    var outputSize: Int { output[1] * output[2] * output[3] }

    init(_ geometry: ck_window, input: [Int], output: [Int]) {
        var window = geometry
        window.channels = Int32(input[1])
        self.window = window
        self.input = input
        self.output = output
    }

    func forEach(_ body: (Int, UnsafePointer<ck_window>) -> Void) {
        inParallel(input[0], grain: max(1, elementwiseGrain / max(1, inputSize))) { part in
            for image in part { withUnsafePointer(to: window) { body(image, $0) } }
        }
    }

    func places(_ index: TensorStorage, _ image: Int) -> UnsafeMutablePointer<Int32> {
        index.pointer.assumingMemoryBound(to: Int32.self) + image * outputSize
    }
}
