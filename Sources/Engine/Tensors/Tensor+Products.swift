internal import Basics

extension Tensor {
    /// Matrix product of the last two axes; axes before them broadcast. `[…, m, k]` times `[…, k, n]` gives `[…, m, n]`.
    public func matmul(_ other: Tensor) throws -> Tensor {
        try matmul(other, transposesSelf: false, transposesOther: false)
    }

    /// The product of this or its transpose with `other` or its transpose, without copying either.
    public func matmul(_ other: Tensor, transposesSelf: Bool, transposesOther: Bool) throws -> Tensor {
        if let type = Tensor.productType(self, other) {
            return try cast(to: type).matmul(
                other.cast(to: type), transposesSelf: transposesSelf, transposesOther: transposesOther)
        }
        try requireAnyFloat("matmul", self)
        try requireSameType("matmul", self, other)
        guard rank >= 2, other.rank >= 2 else {
            throw shapeError("matmul", shape, other.shape, "both need at least 2 axes")
        }
        let k = shape[transposesSelf ? rank - 2 : rank - 1]
        let otherK = other.shape[transposesOther ? other.rank - 1 : other.rank - 2]
        guard k == otherK else {
            throw shapeError("matmul", shape, other.shape, "the inner extents are \(k) and \(otherK)")
        }
        if rank == 2, other.rank == 2 { return try matrixProduct(other, transposesSelf, transposesOther) }
        if other.rank == 2, !transposesSelf {
            // One matrix for the whole batch: a single large product.
            let product = try reshaped([shape.dropLast().reduce(1, *), k])
                .matrixProduct(other, false, transposesOther)
            return try product.reshaped(Array(shape.dropLast()) + [product.shape[1]])
        }
        let batch = try broadcastShape("matmul", Array(shape.dropLast(2)), Array(other.shape.dropLast(2)))
        return try batchedProduct(other, transposesSelf, transposesOther, batch)
    }

    private func matrixProduct(_ other: Tensor, _ tA: Bool, _ tB: Bool) throws -> Tensor {
        if dtype.isHalf {
            let wide = try single.matrixProduct(other.single, tA, tB)
            return recordProduct(wide.converted(to: dtype), other, tA, tB)
        }
        try MatrixProduct.load(for: dtype)
        let (left, right) = (ProductOperand(self, isTransposed: tA), ProductOperand(other, isTransposed: tB))
        let product = MatrixProduct(left, right)
        let output = Tensor(shape: [product.rows, product.columns], dtype: dtype) { bytes in
            product.runInParallel(
                dtype, left.tensor.base, strideA: left.stride, right.tensor.base, strideB: right.stride, bytes)
        }
        return recordProduct(output, other, tA, tB)
    }

    private func batchedProduct(_ other: Tensor, _ tA: Bool, _ tB: Bool, _ batch: [Int]) throws -> Tensor {
        if dtype.isHalf {
            let wide = try single.batchedProduct(other.single, tA, tB, batch)
            return recordProduct(wide.converted(to: dtype), other, tA, tB)
        }
        try MatrixProduct.load(for: dtype)
        let (left, right) = (ProductOperand(self, isTransposed: tA), ProductOperand(other, isTransposed: tB))
        let product = MatrixProduct(left, right)
        let (leftPlaces, rightPlaces) = (left.places(in: batch), right.places(in: batch))
        let size = product.rows * product.columns
        let work = size * product.depth
        let output = Tensor(shape: batch + [product.rows, product.columns], dtype: dtype) { bytes in
            inParallel(leftPlaces.count, grain: Swift.max(1, 1_000_000 / Swift.max(1, work))) { part in
                for b in part {
                    product.run(
                        dtype, left.tensor.base + leftPlaces[b], strideA: left.stride,
                        right.tensor.base + rightPlaces[b], strideB: right.stride, bytes + b * size * dtype.size,
                        strideC: product.columns)
                }
            }
        }
        return recordProduct(output, other, tA, tB)
    }

    /// Halves as a constant of f32: products of them are summed up in f32 and rounded once.
    private var single: Tensor { converted(to: .f32) }

    private func recordProduct(_ output: Tensor, _ other: Tensor, _ tA: Bool, _ tB: Bool) -> Tensor {
        guard isRecorded(self, other) else { return output }
        return record("matmul", output, inputs: [self, other]) { g, _ in
            var left: Tensor?
            var right: Tensor?
            if requiresGradient {
                left =
                    tA
                    ? try other.matmul(g, transposesSelf: tB, transposesOther: true)
                    : try g.matmul(other, transposesSelf: false, transposesOther: !tB)
            }
            if other.requiresGradient {
                right =
                    tB
                    ? try g.matmul(self, transposesSelf: true, transposesOther: tA)
                    : try self.matmul(g, transposesSelf: !tA, transposesOther: false)
            }
            // Matrices that were repeated over the batch get the sum.
            return [try left?.summed(to: shape), try right?.summed(to: other.shape)]
        }
    }

    /// x·Wᵀ + b: the dense layer, the bias added while the product is made.
    ///
    /// - Parameters:
    ///   - weight: `[out, in]`.
    ///   - bias: `[out]`, or nil.
    /// - Returns: `[…, out]` for this of `[…, in]`.
    public func linear(weight: Tensor, bias: Tensor? = nil) throws -> Tensor {
        if let type = Tensor.productType(self, weight) {
            return try cast(to: type).linear(weight: weight.cast(to: type), bias: bias?.cast(to: type))
        }
        try requireAnyFloat("linear", self)
        try requireSameType("linear", self, weight)
        try requireRank("linear", weight, 2, "[out, in] of the weight")
        guard rank >= 1, shape[rank - 1] == weight.shape[1] else {
            throw shapeError("linear", shape, weight.shape, "the last extent must be \(weight.shape[1])")
        }
        guard let bias else {
            return try asMatrix().matmul(weight, transposesSelf: false, transposesOther: true)
                .reshaped(shape.dropLast() + [weight.shape[0]])
        }
        try requireSameType("linear", self, bias)
        guard bias.shape == [weight.shape[0]] else {
            throw shapeError("linear", weight.shape, bias.shape, "the bias must have shape [\(weight.shape[0])]")
        }
        try MatrixProduct.load(for: dtype)
        let x = try asMatrix()
        let output =
            dtype.isHalf
            ? x.single.biasedProduct(weight.single, bias.single).converted(to: dtype) : x.biasedProduct(weight, bias)
        return try record("linear", output, inputs: [x, weight, bias]) { g, _ in
            [
                x.requiresGradient ? try g.matmul(weight) : nil,
                weight.requiresGradient ? try g.matmul(x, transposesSelf: true, transposesOther: false) : nil,
                bias.requiresGradient ? try g.sum(axes: [0]) : nil,
            ]
        }.reshaped(shape.dropLast() + [weight.shape[0]])
    }

    /// This matrix times the transpose of `weight` plus `bias` in each row; a constant.
    private func biasedProduct(_ weight: Tensor, _ bias: Tensor) -> Tensor {
        let (left, right) = (ProductOperand(self, isTransposed: false), ProductOperand(weight, isTransposed: true))
        let product = MatrixProduct(left, right)
        let summand = bias.contiguous()
        return Tensor(shape: [product.rows, product.columns], dtype: dtype) { bytes in
            let width = product.columns * dtype.size
            for row in 0..<product.rows { (bytes + row * width).copyMemory(from: summand.pointer, byteCount: width) }
            product.runInParallel(
                dtype, left.tensor.base, strideA: left.stride, right.tensor.base, strideB: right.stride, bytes,
                adds: true)
        }
    }

    private func asMatrix() throws -> Tensor {
        rank == 2 ? self : try reshaped([shape.dropLast().reduce(1, *), shape[rank - 1]])
    }
}
