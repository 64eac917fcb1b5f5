internal import CKernels

extension Tensor {
    /// Elementwise sum; shapes broadcast.
    public static func + (left: Tensor, right: Tensor) throws -> Tensor {
        let output = try binary("add", CK_ADD, left, right)
        let (l, r) = (left.shape, right.shape)
        return recorded("add", output, inputs: [left, right]) { gradient, _ in
            [try gradient.summed(to: l), try gradient.summed(to: r)]
        }
    }

    /// Elementwise difference; shapes broadcast.
    public static func - (left: Tensor, right: Tensor) throws -> Tensor {
        let output = try binary("subtract", CK_SUB, left, right)
        let (l, r) = (left, right)
        return recorded("subtract", output, inputs: [left, right]) { [leftShape = l.shape, rightShape = r.shape] g, _ in
            [try g.summed(to: leftShape), try g.summed(to: rightShape).scaled(by: -1)]
        }
    }

    /// Elementwise product; shapes broadcast.
    public static func * (left: Tensor, right: Tensor) throws -> Tensor {
        let output = try binary("multiply", CK_MUL, left, right)
        return recorded("multiply", output, inputs: [left, right]) { gradient, _ in
            [
                left.requiresGradient ? try (gradient * right).summed(to: left.shape) : nil,
                right.requiresGradient ? try (gradient * left).summed(to: right.shape) : nil,
            ]
        }
    }

    /// Elementwise quotient of floats; shapes broadcast.
    public static func / (left: Tensor, right: Tensor) throws -> Tensor {
        try requireFloat("divide", left)
        let output = try binary("divide", CK_DIV, left, right)
        return recorded("divide", output, inputs: [left, right]) { gradient, _ in
            let share = try gradient / right
            return [
                left.requiresGradient ? try share.summed(to: left.shape) : nil,
                right.requiresGradient ? try (share * (left / right)).summed(to: right.shape).scaled(by: -1) : nil,
            ]
        }
    }

    public static func + (left: Tensor, right: Double) throws -> Tensor { try left.shifted(by: right) }
    public static func - (left: Tensor, right: Double) throws -> Tensor { try left.shifted(by: -right) }
    public static func * (left: Tensor, right: Double) throws -> Tensor { try left.scaled(by: right) }
    public static func / (left: Tensor, right: Double) throws -> Tensor { try left.scaled(by: 1 / right) }
    public static func + (left: Double, right: Tensor) throws -> Tensor { try right.shifted(by: left) }
    public static func - (left: Double, right: Tensor) throws -> Tensor { try right.scaled(by: -1).shifted(by: left) }
    public static func * (left: Double, right: Tensor) throws -> Tensor { try right.scaled(by: left) }
    public static func / (left: Double, right: Tensor) throws -> Tensor { try right.reciprocal().scaled(by: left) }
    public static prefix func - (x: Tensor) throws -> Tensor { try x.scaled(by: -1) }

    /// The larger of each pair; the gradient of equal ones goes to `self`. Shapes broadcast.
    public func maximum(_ other: Tensor) throws -> Tensor { try selecting("maximum", CK_MAXIMUM, other, sign: 1) }

    /// The smaller of each pair; the gradient of equal ones goes to `self`. Shapes broadcast.
    public func minimum(_ other: Tensor) throws -> Tensor { try selecting("minimum", CK_MINIMUM, other, sign: -1) }

    private func selecting(
        _ name: String, _ code: Int, _ other: Tensor, sign: Double
    ) throws
        -> Tensor
    {
        try requireFloat(name, self)
        let output = try Tensor.binary(name, code, self, other)
        return record(name, output, inputs: [self, other]) { gradient, _ in
            // 1 where `other` wins, which is where it is beyond `self`.
            let isOther = try withoutGradients { try (other - self).scaled(by: sign).stepped() }
            return [
                try (gradient * (1 - isOther)).summed(to: shape), try (gradient * isOther).summed(to: other.shape),
            ]
        }
    }

    /// 1 where positive, else 0; a constant.
    func stepped() throws -> Tensor { applying(CK_STEP, 0) }

    private static func binary(
        _ name: String, _ code: Int, _ left: Tensor, _ right: Tensor
    ) throws -> Tensor {
        try requireSameType(name, left, right)
        let shape = try broadcastShape(name, left.shape, right.shape)
        let dtype = left.dtype
        let size = dtype.size
        let operation = Int32(code)
        if left.shape == right.shape || left.count == 1 || right.count == 1 {
            let (stepLeft, stepRight) = (left.count == 1 ? 0 : 1, right.count == 1 ? 0 : 1)
            return Tensor(shape: shape, dtype: dtype) { target in
                inParallel(shape.product, grain: elementwiseGrain) { part in
                    let offset = part.lowerBound * size
                    ck_binary(
                        dtype.code, operation, part.count, left.pointer + offset * stepLeft, Int32(stepLeft),
                        right.pointer + offset * stepRight, Int32(stepRight), target + offset)
                }
            }
        }
        let walk = PairedWalk(
            shape: shape, left: broadcastStrides(left.shape, to: shape), right: broadcastStrides(right.shape, to: shape)
        )
        return Tensor(shape: shape, dtype: dtype) { target in
            guard shape.product > 0 else { return }
            inParallel(walk.rowCount, grain: elementwiseGrain / walk.inner) { rows in
                walk.forEachRow(in: rows) { row, l, r in
                    ck_binary(
                        dtype.code, operation, walk.inner, left.pointer + l * size, Int32(walk.stepLeft),
                        right.pointer + r * size, Int32(walk.stepRight), target + row * walk.inner * size)
                }
            }
        }
    }
}
