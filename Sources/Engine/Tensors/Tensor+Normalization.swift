internal import CKernels

/// What batch normalisation did: its output, and the statistics of the batch from which running ones are kept.
public struct BatchNormResult: Sendable {
    public let output: Tensor
    /// Mean of each channel, a constant `[C]`.
    public let mean: Tensor
    /// Biased variance of each channel, a constant `[C]`.
    public let variance: Tensor
}

extension Tensor {
    /// Normalises each channel (axis 1) by the mean and variance of the batch (Ioffe & Szegedy, 2015).
    ///
    /// - Parameters:
    ///   - weight: `[C]`, or nil for ones.
    ///   - bias: `[C]`, or nil for zeros.
    public func batchNorm(weight: Tensor?, bias: Tensor?, epsilon: Double = 1e-5) throws -> BatchNormResult {
        let extents = try channelExtents("batchNorm", [weight, bias])
        guard extents.batch * extents.plane > 1 else {
            throw shapeError("batchNorm", shape, "training needs more than 1 value per channel")
        }
        let channels = [extents.channels]
        let x = contiguous()
        let mean = Tensor(
            shape: channels, dtype: dtype, storage: TensorStorage(byteCount: extents.channels * dtype.size))
        let variance = Tensor(shape: channels, dtype: dtype) { out in
            overChannels(extents) { part in
                ck_channel_statistics(
                    dtype.code, extents.batch, extents.channels, extents.plane, part.lowerBound, part.upperBound,
                    x.pointer, mean.storage.pointer, out)
            }
        }
        let (inverse, output) = try withoutGradients {
            let inverse = try (variance + epsilon).sqrt().reciprocal()
            let scale = try weight.map { try $0 * inverse } ?? inverse
            let shift = try bias.map { try $0 - mean * scale } ?? (mean * scale).scaled(by: -1)
            return (inverse, affine(extents, scale, shift))
        }
        let given = [weight, bias].compactMap(\.self)
        let recorded = record("batchNorm", output, inputs: [self] + given) { g, _ in
            if isRecording {
                let composite = try self.compositeBatchNorm(weight, bias, epsilon)
                return try gradients(of: composite, seed: g, inputs: [self] + given)
            }
            return try self.batchNormGradients(g, extents, weight, bias, mean, inverse)
        }
        return BatchNormResult(output: recorded, mean: mean, variance: variance)
    }

    /// Normalises each channel (axis 1) by given statistics, as a trained network does.
    public func batchNorm(
        weight: Tensor?, bias: Tensor?, mean: Tensor, variance: Tensor, epsilon: Double = 1e-5
    ) throws -> Tensor {
        let extents = try channelExtents("batchNorm", [weight, bias, mean, variance])
        let inverse = try (variance + epsilon).sqrt().reciprocal()
        let scale = try weight.map { try $0 * inverse } ?? inverse
        let shift = try bias.map { try $0 - mean * scale } ?? (mean * scale).scaled(by: -1)
        if !(isRecording && (requiresGradient || scale.requiresGradient || shift.requiresGradient)) {
            return affine(extents, scale, shift)
        }
        let alongChannels = channelShape
        return try self * scale.reshaped(alongChannels) + shift.reshaped(alongChannels)
    }

    /// Normalises each row (the last axis) by its own mean and variance (Ba et al., 2016).
    ///
    /// - Parameters:
    ///   - weight: of the last extent, or nil for ones.
    ///   - bias: of the last extent, or nil for zeros.
    public func layerNorm(weight: Tensor?, bias: Tensor?, epsilon: Double = 1e-5) throws -> Tensor {
        try requireFloat("layerNorm", self)
        guard let n = shape.last, n > 0 else { throw shapeError("layerNorm", shape, "the last axis is empty") }
        for case let parameter? in [weight, bias] {
            try requireSameType("layerNorm", self, parameter)
            guard parameter.shape == [n] else {
                throw shapeError("layerNorm", shape, parameter.shape, "weight and bias must have shape [\(n)]")
            }
        }
        let rows = count / n
        let (x, gamma, beta) = (contiguous(), weight?.contiguous(), bias?.contiguous())
        let mean = Tensor(shape: [rows], dtype: dtype, storage: TensorStorage(byteCount: rows * dtype.size))
        let inverse = Tensor(shape: [rows], dtype: dtype, storage: TensorStorage(byteCount: rows * dtype.size))
        let output = Tensor(shape: shape, dtype: dtype) { out in
            inParallel(rows, grain: elementwiseGrain / 2 / n) { part in
                let (offset, small) = (part.lowerBound * n * dtype.size, part.lowerBound * dtype.size)
                ck_layer_norm(
                    dtype.code, part.count, n, x.pointer + offset, gamma?.pointer, beta?.pointer, epsilon, out + offset,
                    mean.storage.pointer + small, inverse.storage.pointer + small)
            }
        }
        let given = [weight, bias].compactMap(\.self)
        return record("layerNorm", output, inputs: [self] + given) { g, _ in
            if isRecording {
                let centred = try self - self.mean(axes: [-1], keepsAxes: true)
                let scale = try (centred.square().mean(axes: [-1], keepsAxes: true) + epsilon).sqrt()
                var composite = try centred / scale
                if let weight { composite = try composite * weight }
                if let bias { composite = try composite + bias }
                return try gradients(of: composite, seed: g, inputs: [self] + given)
            }
            return self.layerNormGradients(g, weight, bias, mean, inverse)
        }
    }

    private func layerNormGradients(
        _ g: Tensor, _ weight: Tensor?, _ bias: Tensor?, _ mean: Tensor, _ inverse: Tensor
    ) -> [Tensor?] {
        let n = shape[rank - 1]
        let rows = count / n
        let (x, g, weight) = (contiguous(), g.contiguous(), weight?.contiguous())
        let own = Tensor(shape: shape, dtype: dtype) { out in
            inParallel(rows, grain: elementwiseGrain / 2 / n) { part in
                let (offset, small) = (part.lowerBound * n * dtype.size, part.lowerBound * dtype.size)
                ck_layer_norm_gradient(
                    dtype.code, part.count, n, g.pointer + offset, x.pointer + offset, weight?.pointer,
                    mean.pointer + small, inverse.pointer + small, out + offset)
            }
        }
        let biasGradient = Tensor(shape: [n], dtype: dtype, storage: TensorStorage(byteCount: n * dtype.size))
        let weightGradient = Tensor(shape: [n], dtype: dtype) { out in
            ck_layer_norm_parameters(
                dtype.code, rows, n, g.pointer, x.pointer, mean.pointer, inverse.pointer, out,
                biasGradient.storage.pointer)
        }
        return [own] + (weight == nil ? [] : [weightGradient]) + (bias == nil ? [] : [biasGradient])
    }

    private func batchNormGradients(
        _ g: Tensor, _ extents: ChannelExtents, _ weight: Tensor?, _ bias: Tensor?, _ mean: Tensor, _ inverse: Tensor
    ) throws -> [Tensor?] {
        let (x, g) = (contiguous(), g.contiguous())
        let products = Tensor(
            shape: [extents.channels], dtype: dtype, storage: TensorStorage(byteCount: extents.channels * dtype.size))
        let sums = Tensor(shape: [extents.channels], dtype: dtype) { out in
            overChannels(extents) { part in
                ck_channel_products(
                    dtype.code, extents.batch, extents.channels, extents.plane, part.lowerBound, part.upperBound,
                    g.pointer, x.pointer, mean.pointer, out, products.storage.pointer)
            }
        }
        // dx = a·g + b·x + d with a = γs, b = -a s² Σg(x-μ) / M, d = -(a Σg / M + b μ)
        let size = 1 / Double(extents.batch * extents.plane)
        let a = try weight.map { try $0.detached * inverse } ?? inverse
        let b = try (a * inverse.square() * products).scaled(by: -size)
        let d = try ((a * sums).scaled(by: size) + b * mean).scaled(by: -1)
        let own = Tensor(shape: shape, dtype: dtype) { out in
            overChannels(extents) { part in
                ck_channel_combine(
                    dtype.code, extents.batch, extents.channels, extents.plane, part.lowerBound, part.upperBound,
                    g.pointer, x.pointer, a.pointer, b.pointer, d.pointer, out)
            }
        }
        return [own] + (weight == nil ? [] : [try products * inverse]) + (bias == nil ? [] : [sums])
    }

    private func compositeBatchNorm(_ weight: Tensor?, _ bias: Tensor?, _ epsilon: Double) throws -> Tensor {
        let axes = [0] + Array(2..<Swift.max(2, rank))
        let centred = try self - mean(axes: axes, keepsAxes: true)
        var result = try centred / (centred.square().mean(axes: axes, keepsAxes: true) + epsilon).sqrt()
        let alongChannels = channelShape
        if let weight { result = try result * weight.reshaped(alongChannels) }
        if let bias { result = try result + bias.reshaped(alongChannels) }
        return result
    }

    /// `[1, C, 1, …]`, so that a value per channel broadcasts.
    private var channelShape: [Int] {
        var result = [Int](repeating: 1, count: rank)
        result[1] = shape[1]
        return result
    }

    private struct ChannelExtents: Sendable {
        var batch: Int
        var channels: Int
        var plane: Int
    }

    private func channelExtents(_ name: String, _ parameters: [Tensor?]) throws -> ChannelExtents {
        try requireFloat(name, self)
        guard rank >= 2 else { throw shapeError(name, shape, "expected [N, C, …]") }
        for case let parameter? in parameters {
            try requireSameType(name, self, parameter)
            guard parameter.shape == [shape[1]] else {
                throw shapeError(name, shape, parameter.shape, "each channel needs one value: [\(shape[1])]")
            }
        }
        return ChannelExtents(batch: shape[0], channels: shape[1], plane: Array(shape[2...]).product)
    }

    private func affine(_ extents: ChannelExtents, _ scale: Tensor, _ shift: Tensor) -> Tensor {
        let (x, scale, shift) = (contiguous(), scale.contiguous(), shift.contiguous())
        return Tensor(shape: shape, dtype: dtype) { out in
            overChannels(extents) { part in
                ck_channel_affine(
                    dtype.code, extents.batch, extents.channels, extents.plane, part.lowerBound, part.upperBound,
                    x.pointer, scale.pointer, shift.pointer, out)
            }
        }
    }

    private func overChannels(_ extents: ChannelExtents, _ body: (Range<Int>) -> Void) {
        let work = Swift.max(1, extents.batch * extents.plane)
        inParallel(extents.channels, grain: elementwiseGrain / work, body)
    }
}
