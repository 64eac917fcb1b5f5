internal import CKernels

/// The type of a tensor's elements.
///
/// f16 (IEEE 754 half precision) and bf16 (the upper half of an f32) are for storage: operations on them compute in f32 and
/// round the result once, to nearest even.
public enum DType: String, Sendable, Hashable, CaseIterable, Codable {
    case f32, f64, i64, i32, u8, i8, f16, bf16, bool

    /// Bytes of one element.
    public var size: Int {
        switch self {
        case .f64, .i64: 8
        case .f32, .i32: 4
        case .f16, .bf16: 2
        case .u8, .i8, .bool: 1
        }
    }

    /// Whether elements are floating-point numbers: only these have gradients.
    public var isFloat: Bool { self == .f32 || self == .f64 || isHalf }

    /// Whether elements are floats of 16 bits.
    public var isHalf: Bool { self == .f16 || self == .bf16 }

    /// The number that kernels know it by.
    var code: Int32 {
        switch self {
        case .f32: Int32(CK_F32)
        case .f64: Int32(CK_F64)
        case .i64: Int32(CK_I64)
        case .i32: Int32(CK_I32)
        case .u8: Int32(CK_U8)
        case .i8: Int32(CK_I8)
        case .f16: Int32(CK_F16)
        case .bf16: Int32(CK_BF16)
        case .bool: Int32(CK_BOOL)
        }
    }
}

/// The Swift types that tensors read and write as elements.
public protocol TensorElement: Sendable {
    static var dtype: DType { get }
}

extension Float: TensorElement { public static var dtype: DType { .f32 } }
extension Double: TensorElement { public static var dtype: DType { .f64 } }
extension Int64: TensorElement { public static var dtype: DType { .i64 } }
extension Int32: TensorElement { public static var dtype: DType { .i32 } }
extension UInt8: TensorElement { public static var dtype: DType { .u8 } }
extension Int8: TensorElement { public static var dtype: DType { .i8 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }
#if !(os(macOS) && arch(x86_64))
    extension Float16: TensorElement { public static var dtype: DType { .f16 } }
#endif
