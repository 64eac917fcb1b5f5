internal import CKernels

extension Tensor {
    /// Normalises each row (the last axis) by its own mean and variance (Ba et al., 2016).
    ///
    /// - Parameters:
    ///   - weight: of the last extent, or nil for ones.
    ///   - bias: of the last extent, or nil for zeros.
    public func layerNorm(weight: Tensor?, bias: Tensor?, epsilon: Double = 1e-5) throws -> Tensor {
        if dtype.isHalf {
            return try inSingle {
                try $0.layerNorm(weight: weight?.cast(to: .f32), bias: bias?.cast(to: .f32), epsilon: epsilon)
            }
        }
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
}
