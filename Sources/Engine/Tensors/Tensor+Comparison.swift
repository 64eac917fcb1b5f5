internal import Basics
internal import CKernels

extension Tensor {
    /// Elementwise comparisons, of bool; shapes broadcast. NaN is unequal to all and neither less nor greater.
    public static func .== (left: Tensor, right: Tensor) throws -> Tensor { try binary("equal", CK_EQUAL, left, right) }
    public static func .!= (left: Tensor, right: Tensor) throws -> Tensor {
        try binary("unequal", CK_UNEQUAL, left, right)
    }
    public static func .< (left: Tensor, right: Tensor) throws -> Tensor { try binary("less", CK_LESS, left, right) }
    public static func .<= (left: Tensor, right: Tensor) throws -> Tensor {
        try binary("lessOrEqual", CK_LESS_EQUAL, left, right)
    }
    public static func .> (left: Tensor, right: Tensor) throws -> Tensor {
        try binary("greater", CK_GREATER, left, right)
    }
    public static func .>= (left: Tensor, right: Tensor) throws -> Tensor {
        try binary("greaterOrEqual", CK_GREATER_EQUAL, left, right)
    }

    public static func .== (left: Tensor, right: Double) throws -> Tensor {
        try left.comparable(right) { try $0 .== $1 }
    }
    public static func .!= (left: Tensor, right: Double) throws -> Tensor {
        try left.comparable(right) { try $0 .!= $1 }
    }
    public static func .< (left: Tensor, right: Double) throws -> Tensor { try left.comparable(right) { try $0 .< $1 } }
    public static func .<= (left: Tensor, right: Double) throws -> Tensor {
        try left.comparable(right) { try $0 .<= $1 }
    }
    public static func .> (left: Tensor, right: Double) throws -> Tensor { try left.comparable(right) { try $0 .> $1 } }
    public static func .>= (left: Tensor, right: Double) throws -> Tensor {
        try left.comparable(right) { try $0 .>= $1 }
    }

    /// Integers are compared with a fraction, or with what they cannot hold, as f64.
    private func comparable(_ value: Double, _ body: (Tensor, Tensor) throws -> Tensor) throws -> Tensor {
        let scalar = Tensor(value, dtype: .f64)
        if dtype.isFloat { return try body(self, scalar.converted(to: dtype)) }
        let exact = scalar.converted(to: dtype)
        if exact.converted(to: .f64).element(at: 0) == value { return try body(self, exact) }
        return try body(converted(to: .f64), scalar)
    }

    /// Elementwise logic of bool; shapes broadcast.
    public static func .& (left: Tensor, right: Tensor) throws -> Tensor { try logic("and", CK_AND, left, right) }
    public static func .| (left: Tensor, right: Tensor) throws -> Tensor { try logic("or", CK_OR, left, right) }
    public static func .^ (left: Tensor, right: Tensor) throws -> Tensor { try logic("xor", CK_XOR, left, right) }
    public static prefix func .! (x: Tensor) throws -> Tensor { try logic("not", CK_XOR, x, Tensor(1, dtype: .bool)) }

    private static func logic(_ name: String, _ code: Int, _ left: Tensor, _ right: Tensor) throws -> Tensor {
        try requireBool(name, left)
        try requireBool(name, right)
        return try binary(name, code, left, right)
    }

    private static func requireBool(_ name: String, _ x: Tensor) throws {
        guard x.dtype == .bool else {
            throw MLOpsError(
                .failed, "`\(name)`: \(x.dtype) of shape \(x.shape) is not of bool",
                hint: "compare it, as in `x .!= 0`")
        }
    }

    /// Elements of `first` where `condition` holds, of `second` elsewhere; the three broadcast.
    public static func `where`(_ condition: Tensor, _ first: Tensor, _ second: Tensor) throws -> Tensor {
        if first.dtype != second.dtype, let pair = try widened(first, second) {
            return try `where`(condition, pair.0, pair.1)
        }
        try requireBool("where", condition)
        try requireSameType("where", first, second)
        let values = try broadcastShape("where", first.shape, second.shape)
        let shape = try broadcastShape("where", condition.shape, values)
        let output = try chosen(condition, first, second, shape)
        guard isRecorded(first, second) else { return output }
        return recorded("where", output, inputs: [first, second]) { g, _ in
            let zero = Tensor(0, dtype: g.dtype)
            return [
                first.requiresGradient ? try `where`(condition, g, zero).summed(to: first.shape) : nil,
                second.requiresGradient ? try `where`(condition, zero, g).summed(to: second.shape) : nil,
            ]
        }
    }

    private static func chosen(
        _ condition: Tensor, _ first: Tensor, _ second: Tensor, _ shape: [Int]
    ) throws -> Tensor {
        // The layout of the first that has the whole shape; the others follow it, or are one element.
        let layout = [condition, first, second].first { $0.shape == shape && $0.layout.isDense }?.layout ?? Layout()
        func operand(_ x: Tensor) throws -> (Tensor, Int) {
            if x.count == 1 { return (x, 0) }
            return (try withoutGradients { try x.detached.broadcast(to: shape) }.laidOut(as: layout), 1)
        }
        let (c, stepC) = try operand(condition)
        let (a, stepA) = try operand(first)
        let (b, stepB) = try operand(second)
        let size = first.dtype.size
        return Tensor(shape: shape, dtype: first.dtype, layout: layout) { target in
            inParallel(shape.product, grain: elementwiseGrain) { part in
                let offset = part.lowerBound * size
                ck_where(
                    size, part.count, (c.base + part.lowerBound * stepC).assumingMemoryBound(to: UInt8.self),
                    Int32(stepC), a.base + offset * stepA, Int32(stepA), b.base + offset * stepB, Int32(stepB),
                    target + offset)
            }
        }
    }

    /// `value` where `mask` (of bool, broadcast to this shape) holds.
    public func maskedFill(_ mask: Tensor, _ value: Double) throws -> Tensor {
        guard try broadcastShape("maskedFill", shape, mask.shape) == shape else {
            throw shapeError("maskedFill", shape, mask.shape, "the mask must broadcast to the shape")
        }
        return try Tensor.where(mask, Tensor(value, dtype: dtype), self)
    }

    /// Whether an element is not 0, over `axes` or over all of them if nil.
    public func any(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        let counts = try converted(to: .bool).converted(to: .i64).sum(axes: axes, keepsAxes: keepsAxes)
        return try counts .> 0
    }

    /// Whether no element is 0, over `axes` or over all of them if nil.
    public func all(axes: [Int]? = nil, keepsAxes: Bool = false) throws -> Tensor {
        try .!(.!converted(to: .bool)).any(axes: axes, keepsAxes: keepsAxes)
    }
}
