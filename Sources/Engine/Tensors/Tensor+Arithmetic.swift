internal import CKernels

extension Tensor {
    /// Elementwise sum; shapes broadcast.
    public static func + (left: Tensor, right: Tensor) throws -> Tensor {
        if left.dtype != right.dtype, let pair = try widened(left, right) { return try pair.0 + pair.1 }
        let output = try binary("add", CK_ADD, left, right)
        guard isRecorded(left, right) else { return output }
        let (l, r) = (left.shape, right.shape)
        return recorded("add", output, inputs: [left, right]) { gradient, _ in
            [try gradient.summed(to: l), try gradient.summed(to: r)]
        }
    }

    /// Elementwise difference; shapes broadcast.
    public static func - (left: Tensor, right: Tensor) throws -> Tensor {
        if left.dtype != right.dtype, let pair = try widened(left, right) { return try pair.0 - pair.1 }
        let output = try binary("subtract", CK_SUB, left, right)
        guard isRecorded(left, right) else { return output }
        let (l, r) = (left, right)
        return recorded("subtract", output, inputs: [left, right]) { [leftShape = l.shape, rightShape = r.shape] g, _ in
            [try g.summed(to: leftShape), try g.summed(to: rightShape).scaled(by: -1)]
        }
    }

    /// Elementwise product; shapes broadcast.
    public static func * (left: Tensor, right: Tensor) throws -> Tensor {
        if left.dtype != right.dtype, let pair = try widened(left, right) { return try pair.0 * pair.1 }
        let output = try binary("multiply", CK_MUL, left, right)
        guard isRecorded(left, right) else { return output }
        return recorded("multiply", output, inputs: [left, right]) { gradient, _ in
            [
                left.requiresGradient ? try (gradient * right).summed(to: left.shape) : nil,
                right.requiresGradient ? try (gradient * left).summed(to: right.shape) : nil,
            ]
        }
    }

    /// Elementwise quotient of floats; shapes broadcast.
    public static func / (left: Tensor, right: Tensor) throws -> Tensor {
        if left.dtype != right.dtype, let pair = try widened(left, right) { return try pair.0 / pair.1 }
        try requireAnyFloat("divide", left)
        let output = try binary("divide", CK_DIV, left, right)
        guard isRecorded(left, right) else { return output }
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

    /// Each element to the power of that of `exponent`. Shapes broadcast.
    public func power(_ exponent: Tensor) throws -> Tensor {
        try requireAnyFloat("power", self)
        let output = try Tensor.binary("power", CK_POWER, self, exponent)
        guard isRecorded(self, exponent) else { return output }
        return record("power", output, inputs: [self, exponent], keepsOutput: true) { g, y in
            [
                requiresGradient
                    ? try (g * exponent * power(exponent - 1)).summed(to: shape) : nil,
                // 0 to a power has slope 0 in the power.
                exponent.requiresGradient
                    ? try (g * y * Tensor.where(self .== 0, Tensor(1, dtype: dtype), self).log()).summed(
                        to: exponent.shape) : nil,
            ]
        }
    }

    private func selecting(
        _ name: String, _ code: Int, _ other: Tensor, sign: Double
    ) throws -> Tensor {
        let output = try Tensor.binary(name, code, self, other)
        guard isRecorded(self, other) else { return output }
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

    /// The kernel `code` of pairs, as a constant: of bool for comparisons and logic, else of the operands' type.
    static func binary(
        _ name: String, _ code: Int, _ left: Tensor, _ right: Tensor
    ) throws -> Tensor {
        try requireSameType(name, left, right)
        if code < CK_EQUAL { try requireNumbers(name, left) }
        if left.layout == right.layout, left.layout.isDense, left.shape == right.shape {
            return straight(code, left, 1, right, 1, like: left)
        }
        if right.count == 1, right.rank <= left.rank, left.layout.isDense {
            return straight(code, left, 1, right, 0, like: left)
        }
        if left.count == 1, left.rank <= right.rank, right.layout.isDense {
            return straight(code, left, 0, right, 1, like: right)
        }
        if left.isContiguous, right.isContiguous, right.rank < left.rank, right.count > 0,
            left.shape.suffix(right.rank).elementsEqual(right.shape)
        {
            return rowwise(code, left, right)
        }
        let shape = try broadcastShape(name, left.shape, right.shape)
        return walked(code, left, right, shape)
    }

    private static func resultType(_ code: Int, _ dtype: DType) -> DType { code >= CK_EQUAL ? .bool : dtype }

    /// Operands of one layout (step 1) or of one element (step 0), straight over memory.
    private static func straight(
        _ code: Int, _ left: Tensor, _ stepLeft: Int, _ right: Tensor, _ stepRight: Int, like model: Tensor
    ) -> Tensor {
        let dtype = left.dtype
        let result = resultType(code, dtype)
        let count = model.count
        return Tensor(shape: model.shape, dtype: result, layout: model.layout) { target in
            let (left, right) = (left.base, right.base)
            inParallel(count, grain: elementwiseGrain) { part in
                let offset = part.lowerBound * dtype.size
                ck_binary(
                    dtype.code, Int32(code), part.count, left + offset * stepLeft, Int32(stepLeft),
                    right + offset * stepRight, Int32(stepRight), target + part.lowerBound * result.size)
            }
        }
    }

    /// Rows of `left` each with the one row that is `right`.
    private static func rowwise(_ code: Int, _ left: Tensor, _ right: Tensor) -> Tensor {
        let dtype = left.dtype
        let width = right.count
        let result = resultType(code, dtype)
        return Tensor(shape: left.shape, dtype: result) { target in
            let (leftBase, rightBase) = (left.base, right.base)
            inParallel(left.count / width, grain: elementwiseGrain / width) { rows in
                let offset = rows.lowerBound * width * dtype.size
                ck_binary_rows(
                    dtype.code, Int32(code), rows.count, width, leftBase + offset, width, 1, rightBase, 0, 1,
                    target + rows.lowerBound * width * result.size)
            }
        }
    }

    /// Operands of any layouts that broadcast to `shape`, row by row; the output lies as the first operand of that shape.
    private static func walked(_ code: Int, _ left: Tensor, _ right: Tensor, _ shape: [Int]) -> Tensor {
        let model = [left, right].first { $0.shape == shape && $0.layout.isDense }
        let layout = model?.layout ?? Layout()
        let order = layout.order(of: shape)
        let extents = order.map { shape[$0] }
        func strides(_ x: Tensor) -> [Int] {
            let strides = broadcastStrides(x.shape, x.strides, to: shape)
            return order.map { strides[$0] }
        }
        var (left, right) = (left, right)
        var walk = PairedWalk(shape: extents, left: strides(left), right: strides(right))
        if walk.stepLeft > 1 || walk.stepRight > 1 {
            // An operand that jumps from element to element is copied into the order of the walk.
            if walk.stepLeft > 1 { left = left.arranged(alongOrder: order, of: shape) }
            if walk.stepRight > 1 { right = right.arranged(alongOrder: order, of: shape) }
            walk = PairedWalk(shape: extents, left: strides(left), right: strides(right))
        }
        let dtype = left.dtype
        let size = dtype.size
        let result = resultType(code, dtype)
        return Tensor(shape: shape, dtype: result, layout: layout) { target in
            guard shape.product > 0 else { return }
            let (leftBase, rightBase) = (left.base, right.base)
            inParallel(walk.rowCount, grain: elementwiseGrain / walk.inner) { rows in
                walk.forEachRun(in: rows) { row, count, l, r in
                    ck_binary_rows(
                        dtype.code, Int32(code), count, walk.inner, leftBase + l * size, walk.rowLeft,
                        Int32(walk.stepLeft), rightBase + r * size, walk.rowRight, Int32(walk.stepRight),
                        target + row * walk.inner * result.size)
                }
            }
        }
    }

    /// A dense copy whose axes lie in the order that `order` has for `shape`, to which this broadcasts.
    private func arranged(alongOrder order: [Int], of target: [Int]) -> Tensor {
        let missing = target.count - rank
        return arranged(Layout(shape, order: order.map { $0 - missing }.filter { $0 >= 0 }))
    }

    /// Adds `other` in place, if nobody else holds this memory and both are alike constants.
    ///
    /// - Returns: whether it was done.
    mutating func accumulate(_ other: Tensor) -> Bool {
        guard node == nil, other.node == nil, shape == other.shape, dtype == other.dtype, dtype.isFloat,
            layout.isDense, layout == other.layout || layout.hasSameInnermostAxis(as: other.layout, shape: shape),
            isKnownUniquelyReferenced(&storage)
        else { return false }
        let dtype = dtype
        storage.packed = nil
        let target = storage.pointer + offset * dtype.size
        guard layout == other.layout else {
            copyStrided(
                shape, size: dtype.size, from: other.base, other.strides, to: target, strides, adds: dtype)
            return true
        }
        inParallel(count, grain: elementwiseGrain) { part in
            let offset = part.lowerBound * dtype.size
            ck_binary(
                dtype.code, Int32(CK_ADD), part.count, target + offset, 1, other.base + offset, 1, target + offset)
        }
        return true
    }

    /// Adds `other` to `part` of this in place if nobody else sees it; whether it did.
    mutating func accumulate(_ other: Tensor, at part: AxisSlice) -> Bool {
        guard node == nil, other.node == nil, dtype == other.dtype, dtype.isFloat, layout.isDense,
            isKnownUniquelyReferenced(&storage)
        else { return false }
        storage.packed = nil
        other.write(to: storage.pointer + offset * dtype.size, part, strides: strides, adds: true)
        return true
    }
}
