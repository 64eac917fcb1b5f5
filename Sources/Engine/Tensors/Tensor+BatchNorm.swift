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
    /// activation(normalised + residual), where each channel (axis 1) is normalised by the mean and variance of the batch (Ioffe &
    /// Szegedy, 2015).
    ///
    /// Pictures that lie channels last and features `[N, C]` take one pass over memory for each of statistics and output.
    ///
    /// - Parameters:
    ///   - weight: `[C]`, or nil for ones.
    ///   - bias: `[C]`, or nil for zeros.
    ///   - residual: of this shape; added before the activation.
    public func batchNorm(
        weight: Tensor?, bias: Tensor?, epsilon: Double = 1e-5, adding residual: Tensor? = nil,
        activation: FusedActivation = .none
    ) throws -> BatchNormResult {
        if dtype.isHalf {
            let result = try cast(to: .f32).batchNorm(
                weight: weight?.cast(to: .f32), bias: bias?.cast(to: .f32), epsilon: epsilon,
                adding: residual?.cast(to: .f32), activation: activation)
            let output = autocastType == nil ? try result.output.cast(to: dtype) : result.output
            return BatchNormResult(output: output, mean: result.mean, variance: result.variance)
        }
        try checkChannels([weight, bias], residual)
        guard count > shape[1] else {
            throw shapeError("batchNorm", shape, "training needs more than 1 value per channel")
        }
        guard let rows = ChannelRows(self) else {
            let plain = try planeBatchNorm(weight: weight, bias: bias, epsilon: epsilon)
            return BatchNormResult(
                output: try plain.output.finished(adding: residual, activation), mean: plain.mean,
                variance: plain.variance)
        }
        let (means, variances) = rows.statistics(of: self)
        let inverses = variances.map { 1 / ($0 + epsilon).squareRoot() }
        let scales = zip(inverses, weight?.doubles() ?? inverses.map { _ in 1 }).map(*)
        let shifts = zip(bias?.doubles() ?? inverses.map { _ in 0 }, zip(means, scales)).map { $0 - $1.0 * $1.1 }
        let (scale, shift) = (channel(scales), channel(shifts))
        let added = residual?.laidOut(as: layout)
        let output = rows.affine(self, scale: scale, shift: shift, adding: added, activation: activation)
        let given = [self, weight, bias, residual].compactMap(\.self)
        let gatesByOutput = activation != .none && residual != nil
        let recorded = record("batchNorm", output, inputs: given, keepsOutput: gatesByOutput) { g, y in
            if isRecording {
                let composite = try self.compositeBatchNorm(weight, bias, epsilon).finished(
                    adding: residual, activation)
                return try gradients(of: composite, seed: g, inputs: given)
            }
            let gate = activation.limit.map {
                ChannelRows.Gate(scale: scale, shift: shift, output: gatesByOutput ? y : nil, limit: $0)
            }
            return try self.rowBatchNormGradients(
                g, rows, means: means, inverses: inverses, scales: scales, gate: gate,
                has: (weight != nil, bias != nil, residual != nil))
        }
        return BatchNormResult(output: recorded, mean: channel(means), variance: channel(variances))
    }

    /// activation(normalised + residual), where each channel (axis 1) is normalised by given statistics, as a trained network does.
    public func batchNorm(
        weight: Tensor?, bias: Tensor?, mean: Tensor, variance: Tensor, epsilon: Double = 1e-5,
        adding residual: Tensor? = nil, activation: FusedActivation = .none
    ) throws -> Tensor {
        if dtype.isHalf {
            return try inSingle {
                try $0.batchNorm(
                    weight: weight?.cast(to: .f32), bias: bias?.cast(to: .f32), mean: mean.cast(to: .f32),
                    variance: variance.cast(to: .f32), epsilon: epsilon, adding: residual?.cast(to: .f32),
                    activation: activation)
            }
        }
        try checkChannels([weight, bias, mean, variance], residual)
        let inverse = try (variance + epsilon).sqrt().reciprocal()
        let scale = try weight.map { try $0 * inverse } ?? inverse
        let shift = try bias.map { try $0 - mean * scale } ?? (mean * scale).scaled(by: -1)
        let isRecorded = [self, scale, shift, residual].contains { $0?.requiresGradient ?? false } && isRecording
        if !isRecorded, let rows = ChannelRows(self) {
            return rows.affine(
                self, scale: scale, shift: shift, adding: residual?.laidOut(as: layout), activation: activation)
        }
        if !isRecorded { return try planeAffine(scale, shift).finished(adding: residual, activation) }
        let alongChannels = channelShape
        return try (self * scale.reshaped(alongChannels) + shift.reshaped(alongChannels))
            .finished(adding: residual, activation)
    }

    private func rowBatchNormGradients(
        _ gradient: Tensor, _ rows: ChannelRows, means: [Double], inverses: [Double], scales: [Double],
        gate: ChannelRows.Gate?, has: (weight: Bool, bias: Bool, residual: Bool)
    ) throws -> [Tensor?] {
        let g = gradient.laidOut(as: layout)
        let (sums, products, counted) = rows.products(g, self, mean: channel(means), gate: gate)
        // dx = a·g + b·x + d with a = γs, b = -a s² Σg(x-μ) / M, d = -(a Σg / M + b μ)
        let size = 1 / Double(rows.rows)
        let b = (0..<means.count).map { -scales[$0] * inverses[$0] * inverses[$0] * products[$0] * size }
        let d = (0..<means.count).map { -(scales[$0] * sums[$0] * size + b[$0] * means[$0]) }
        var result: [Tensor?] = [
            rows.combine(
                counted, self, a: channel(scales), b: channel(b), d: channel(d), gate: gate?.output == nil ? gate : nil)
        ]
        if has.weight { result.append(channel(zip(products, inverses).map(*))) }
        if has.bias { result.append(channel(sums)) }
        if has.residual { result.append(counted) }
        return result
    }

    /// One value a channel, in this tensor's dtype.
    private func channel(_ values: [Double]) -> Tensor { Tensor(values).converted(to: dtype) }

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

    private func checkChannels(_ parameters: [Tensor?], _ residual: Tensor?) throws {
        try requireFloat("batchNorm", self)
        guard rank >= 2 else { throw shapeError("batchNorm", shape, "expected [N, C, …]") }
        for case let parameter? in parameters {
            try requireSameType("batchNorm", self, parameter)
            guard parameter.shape == [shape[1]] else {
                throw shapeError("batchNorm", shape, parameter.shape, "each channel needs one value: [\(shape[1])]")
            }
        }
        guard let residual else { return }
        try requireSameType("batchNorm", self, residual)
        guard residual.shape == shape else {
            throw shapeError("batchNorm", shape, residual.shape, "what is added must have the input's shape")
        }
    }
}

// MARK: Row-major pictures and sequences, whose channels are planes

/// `[N, C, …]` as planes.
private struct ChannelPlanes: Sendable {
    var batch: Int
    var channels: Int
    var plane: Int

    init(_ shape: [Int]) {
        batch = shape[0]
        channels = shape[1]
        plane = Array(shape[2...]).product
    }

    func forEachChannel(_ body: (Range<Int>) -> Void) {
        inParallel(channels, grain: elementwiseGrain / max(1, batch * plane), body)
    }
}

extension Tensor {
    private func planeBatchNorm(weight: Tensor?, bias: Tensor?, epsilon: Double) throws -> BatchNormResult {
        let x = contiguous()
        let planes = ChannelPlanes(shape)
        let mean = Tensor(shape: [planes.channels], dtype: dtype) { _ in }
        let variance = Tensor(shape: [planes.channels], dtype: dtype) { out in
            planes.forEachChannel { part in
                ck_channel_statistics(
                    dtype.code, planes.batch, planes.channels, planes.plane, part.lowerBound, part.upperBound,
                    x.pointer, mean.storage.pointer, out)
            }
        }
        let (inverse, output) = try withoutGradients {
            let inverse = try (variance + epsilon).sqrt().reciprocal()
            let scale = try weight.map { try $0 * inverse } ?? inverse
            let shift = try bias.map { try $0 - mean * scale } ?? (mean * scale).scaled(by: -1)
            return (inverse, x.planeAffine(scale, shift))
        }
        let given = [weight, bias].compactMap(\.self)
        let recorded = record("batchNorm", output, inputs: [self] + given) { g, _ in
            if isRecording {
                let composite = try self.compositeBatchNorm(weight, bias, epsilon)
                return try gradients(of: composite, seed: g, inputs: [self] + given)
            }
            return try x.planeBatchNormGradients(g, planes, weight, bias, mean, inverse)
        }
        return BatchNormResult(output: recorded, mean: mean, variance: variance)
    }

    private func planeBatchNormGradients(
        _ g: Tensor, _ planes: ChannelPlanes, _ weight: Tensor?, _ bias: Tensor?, _ mean: Tensor, _ inverse: Tensor
    ) throws -> [Tensor?] {
        let (x, g) = (contiguous(), g.contiguous())
        let products = Tensor(
            shape: [planes.channels], dtype: dtype
        ) { _ in }
        let sums = Tensor(shape: [planes.channels], dtype: dtype) { out in
            planes.forEachChannel { part in
                ck_channel_products(
                    dtype.code, planes.batch, planes.channels, planes.plane, part.lowerBound, part.upperBound,
                    g.pointer, x.pointer, mean.pointer, out, products.storage.pointer)
            }
        }
        // dx = a·g + b·x + d with a = γs, b = -a s² Σg(x-μ) / M, d = -(a Σg / M + b μ)
        let size = 1 / Double(planes.batch * planes.plane)
        let a = try weight.map { try $0.detached * inverse } ?? inverse
        let b = try (a * inverse.square() * products).scaled(by: -size)
        let d = try ((a * sums).scaled(by: size) + b * mean).scaled(by: -1)
        let own = Tensor(shape: shape, dtype: dtype) { out in
            planes.forEachChannel { part in
                ck_channel_combine(
                    dtype.code, planes.batch, planes.channels, planes.plane, part.lowerBound, part.upperBound,
                    g.pointer, x.pointer, a.pointer, b.pointer, d.pointer, out)
            }
        }
        return [own] + (weight == nil ? [] : [try products * inverse]) + (bias == nil ? [] : [sums])
    }

    private func planeAffine(_ scale: Tensor, _ shift: Tensor) -> Tensor {
        let (x, scale, shift) = (contiguous(), scale.contiguous(), shift.contiguous())
        let planes = ChannelPlanes(shape)
        return Tensor(shape: shape, dtype: dtype) { out in
            planes.forEachChannel { part in
                ck_channel_affine(
                    dtype.code, planes.batch, planes.channels, planes.plane, part.lowerBound, part.upperBound,
                    x.pointer, scale.pointer, shift.pointer, out)
            }
        }
    }
}
