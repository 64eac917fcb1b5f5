internal import Basics
internal import CKernels

/// A block of numbers of one type and a shape, with value semantics: operations give new tensors.
///
/// Elements lie in memory at `strides`: views (transposed, sliced, broadcast, …) share the memory of what they show, and what
/// is written in place is copied first if anybody shares it. A tensor may be a node of the graph from which `grad` derives gradients; tensors of
/// integers never are. Every operation checks shapes and dtypes and throws an error that names itself and both shapes.
public struct Tensor: Sendable {
    /// Extents of the axes, outermost first; `[]` is a scalar.
    public let shape: [Int]
    public let dtype: DType
    let layout: Layout
    /// Elements in `storage` before the first of this tensor.
    let offset: Int
    var storage: TensorStorage
    /// The place in the graph; nil for a constant.
    var node: GraphNode?

    init(
        shape: [Int], dtype: DType, layout: Layout = Layout(), offset: Int = 0, storage: TensorStorage,
        node: GraphNode? = nil
    ) {
        self.shape = shape
        self.dtype = dtype
        self.layout = layout
        self.offset = offset
        self.storage = storage
        self.node = node
    }

    /// A row-major tensor whose bytes `body` writes, all of them.
    package init(shape: [Int], dtype: DType, writing body: (UnsafeMutableRawPointer) throws -> Void) rethrows {
        try self.init(shape: shape, dtype: dtype, layout: Layout(), writing: body)
    }

    /// A tensor of a dense `layout` whose bytes `body` writes, all of them.
    init(
        shape: [Int], dtype: DType, layout: Layout, writing body: (UnsafeMutableRawPointer) throws -> Void
    ) rethrows {
        self.init(
            shape: shape, dtype: dtype, layout: layout,
            storage: TensorStorage(byteCount: shape.product * dtype.size))
        try body(storage.pointer)
    }

    /// Number of elements.
    public var count: Int { shape.product }
    /// Number of axes.
    public var rank: Int { shape.count }
    /// Number of bytes.
    public var byteCount: Int { count * dtype.size }
    /// Whether `grad` can reach a variable from here.
    public var requiresGradient: Bool { node != nil }

    /// The same values as a variable of their own: a leaf that `grad` can derive for.
    ///
    /// - Throws: if the elements are integers.
    public func requiringGradient() throws -> Tensor {
        try requireAnyFloat("requiringGradient", self)
        var result = self
        result.node = GraphNode.leaf()
        return result
    }

    /// The same values as a constant.
    public var detached: Tensor {
        var result = self
        result.node = nil
        return result
    }

    /// The first element, from which the others lie at `strides`; the tensor must outlive the use of the pointer.
    var base: UnsafeRawPointer { UnsafeRawPointer(storage.pointer) + offset * dtype.size }

    /// The bytes row by row, for kernels; the tensor must outlive the use of the pointer.
    ///
    /// - Precondition: the tensor is contiguous; `contiguous()` makes it so.
    var pointer: UnsafeRawPointer {
        precondition(isContiguous, "a tensor of shape \(shape) and strides \(strides) read as if it were row-major")
        return base
    }
}

extension Tensor: CustomStringConvertible {
    /// `f32 [2, 3]` and up to eight values.
    public var description: String {
        let values = (0..<Swift.min(count, 8)).map { String(describing: element(at: $0)) }.joined(separator: ", ")
        return "\(dtype) \(shape): \(values)" + (count > 8 ? ", …" : "")
    }
}

extension Array where Element == Int {
    /// The number of elements of a tensor of this shape.
    package var product: Int { reduce(1, *) }
}

/// An axis counted from the front, or from the back if negative, checked against `rank`.
func checkedAxis(_ operation: String, _ axis: Int, rank: Int, shape: [Int]) throws -> Int {
    let actual = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(actual) else {
        throw MLOpsError(
            .failed, "`\(operation)`: axis \(axis) is not in \(-rank) ..< \(rank), the axes of shape \(shape)",
            hint: "count axes from 0 at the front or from -1 at the back")
    }
    return actual
}

/// An error of operation `operation` that two shapes cause.
func shapeError(_ operation: String, _ left: [Int], _ right: [Int], _ reason: String) -> MLOpsError {
    MLOpsError(
        .failed, "`\(operation)`: shapes \(left) and \(right) do not fit: \(reason)",
        hint: "reshape or transpose one of the two")
}

/// An error of operation `operation` that one shape causes.
func shapeError(_ operation: String, _ shape: [Int], _ reason: String) -> MLOpsError {
    MLOpsError(.failed, "`\(operation)`: shape \(shape) does not fit: \(reason)", hint: "reshape the input")
}

/// Throws unless both have one dtype.
func requireSameType(_ operation: String, _ left: Tensor, _ right: Tensor) throws {
    guard left.dtype == right.dtype else {
        throw MLOpsError(
            .failed,
            "`\(operation)`: dtypes \(left.dtype) and \(right.dtype) of shapes \(left.shape) and \(right.shape) differ",
            hint: "convert one with `cast(to:)`")
    }
}

/// Throws unless the elements are f32 or f64, which every kernel knows.
func requireFloat(_ operation: String, _ x: Tensor) throws {
    guard x.dtype.isFloat, !x.dtype.isHalf else {
        throw MLOpsError(
            .failed, "`\(operation)`: \(x.dtype) of shape \(x.shape) is not of f32 or f64",
            hint: "convert it with `cast(to: .f32)`")
    }
}

/// Throws unless the elements are floats of whatever width.
func requireAnyFloat(_ operation: String, _ x: Tensor) throws {
    guard x.dtype.isFloat else {
        throw MLOpsError(
            .failed, "`\(operation)`: \(x.dtype) of shape \(x.shape) is not of floats",
            hint: "convert it with `cast(to: .f32)`")
    }
}

/// Throws if the elements are truth values.
func requireNumbers(_ operation: String, _ x: Tensor) throws {
    guard x.dtype != .bool else {
        throw MLOpsError(
            .failed, "`\(operation)`: bool of shape \(x.shape) is not of numbers",
            hint: "convert it with `cast(to:)`, or use `.&`, `.|` and `.^`")
    }
}

/// Throws unless the tensor is of i64 indices.
func requireIndices(_ operation: String, _ indices: Tensor) throws {
    guard indices.dtype == .i64 else {
        throw MLOpsError(
            .failed, "`\(operation)`: indices of shape \(indices.shape) are \(indices.dtype), not i64",
            hint: "convert them with `cast(to: .i64)`")
    }
}

/// Throws unless the tensor has `rank` axes.
func requireRank(_ operation: String, _ x: Tensor, _ rank: Int, _ axes: String) throws {
    guard x.rank == rank else {
        throw shapeError(operation, x.shape, "expected \(rank) axes \(axes), found \(x.rank)")
    }
}
