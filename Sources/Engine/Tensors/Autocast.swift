internal import Basics
internal import CKernels

/// Computes products and convolutions of f32 with operands rounded to `type` (f16 or bf16, summed up in f32) while `body` runs
/// on this thread; their results are of `type`. Softmax, norms and losses take them back to f32, and elementwise operations of
/// two types give the wider. Gradients have the types that the values had.
///
/// - Throws: if `type` is not f16 or bf16, and what `body` throws.
public func autocast<Result>(to type: DType = .bf16, _ body: () throws -> Result) throws -> Result {
    guard type.isHalf else {
        throw MLOpsError(.failed, "`autocast`: \(type) is not a type of 16 bits", hint: "take `.bf16` or `.f16`")
    }
    return try withAutocast(type, body)
}

/// `body` with autocast to `type` on this thread, or without it if nil.
func withAutocast<Result>(_ type: DType?, _ body: () throws -> Result) rethrows -> Result {
    let before = ck_autocast()
    ck_set_autocast(type?.code ?? -1)
    defer { ck_set_autocast(before) }
    return try body()
}

/// The type that products on this thread round their operands to, if any.
var autocastType: DType? {
    switch ck_autocast() {
    case Int32(CK_F16): .f16
    case Int32(CK_BF16): .bf16
    default: nil
    }
}

extension Tensor {
    /// The type that `autocast` wants the operands of a product to have; nil if they are to stay.
    static func productType(_ left: Tensor, _ right: Tensor) -> DType? {
        guard ck_autocast() >= 0, let type = autocastType, left.dtype != type || right.dtype != type,
            left.dtype == .f32 || left.dtype.isHalf, right.dtype == .f32 || right.dtype.isHalf
        else { return nil }
        return type
    }

    /// Two float operands of the wider of their types, if they differ and `autocast` may have brought that about.
    static func widened(_ left: Tensor, _ right: Tensor) throws -> (Tensor, Tensor)? {
        guard ck_autocast() >= 0, left.dtype != right.dtype, left.dtype.isFloat, right.dtype.isFloat else { return nil }
        let type: DType = left.dtype == .f64 || right.dtype == .f64 ? .f64 : .f32
        return (try left.cast(to: type), try right.cast(to: type))
    }

    /// `body` of these halves as f32; the result is rounded back unless `autocast` is on.
    func inSingle(_ body: (Tensor) throws -> Tensor) throws -> Tensor {
        let result = try body(cast(to: .f32))
        return autocastType == nil ? try result.cast(to: dtype) : result
    }
}
