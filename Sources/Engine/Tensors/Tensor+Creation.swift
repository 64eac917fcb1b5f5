public import Basics
internal import CKernels

extension Tensor {
    /// `values` in row-major order.
    ///
    /// - Precondition: `shape` has as many elements as `values`; nil means one axis.
    public init<Element: TensorElement>(_ values: [Element], shape: [Int]? = nil) {
        let shape = shape ?? [values.count]
        precondition(
            shape.product == values.count, "\(values.count) values do not fill a tensor of shape \(shape)")
        self = values.withUnsafeBytes { source in
            Tensor(shape: shape, dtype: Element.dtype) { target in
                if let base = source.baseAddress { target.copyMemory(from: base, byteCount: source.count) }
            }
        }
    }

    /// A scalar.
    public init(_ value: Double, dtype: DType = .f32) { self = .full(value, [], dtype: dtype) }

    /// The elements as they lie in memory: little-endian, row-major.
    ///
    /// - Throws: if the number of bytes is not that of the shape, or the shape is impossible.
    public init(bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) throws {
        var expected = dtype.size
        for extent in shape {
            let (product, overflows) = expected.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflows else {
                throw MLOpsError(.failed, "a tensor cannot have shape \(shape)")
            }
            expected = product
        }
        guard bytes.count == expected else {
            throw MLOpsError(
                .failed, "\(bytes.count) bytes are not a tensor of \(dtype) and shape \(shape), which has \(expected)")
        }
        if dtype == .bool, let place = bytes.firstIndex(where: { $0 > 1 }) {
            throw MLOpsError(.failed, "byte \(bytes[place]) at \(place) is neither false (0) nor true (1)")
        }
        self.init(shape: shape, dtype: dtype) { target in
            if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: expected) }
        }
    }

    public init(bytes: [UInt8], shape: [Int], dtype: DType) throws {
        self = try bytes.withUnsafeBytes { try Tensor(bytes: $0, shape: shape, dtype: dtype) }
    }

    /// `value` everywhere.
    public static func full(_ value: Double, _ shape: [Int], dtype: DType = .f32) -> Tensor {
        precondition(shape.allSatisfy { $0 >= 0 }, "a tensor cannot have shape \(shape)")
        return Tensor(shape: shape, dtype: dtype) { ck_fill(dtype.code, shape.product, value, $0) }
    }

    public static func zeros(_ shape: [Int], dtype: DType = .f32) -> Tensor { full(0, shape, dtype: dtype) }
    public static func ones(_ shape: [Int], dtype: DType = .f32) -> Tensor { full(1, shape, dtype: dtype) }

    /// 0, 1, …, `count` - 1.
    public static func arange(_ count: Int, dtype: DType = .f32) -> Tensor {
        Tensor((0..<count).map(Int64.init)).converted(to: dtype)
    }

    /// Independent draws, uniform in `range`; element i depends on the generator's state and i alone.
    public static func uniform(
        _ shape: [Int], in range: Range<Double> = 0..<1, dtype: DType = .f32, using generator: inout Philox
    ) -> Tensor {
        random(shape, dtype, Layout(), &generator) { code, seed, part, target in
            ck_uniform(code, seed, part.lowerBound, part.count, range.lowerBound, range.upperBound, target)
        }
    }

    /// Independent draws of a normal distribution; element i depends on the generator's state and i alone.
    public static func normal(
        _ shape: [Int], mean: Double = 0, deviation: Double = 1, dtype: DType = .f32, using generator: inout Philox
    ) -> Tensor {
        random(shape, dtype, Layout(), &generator) { code, seed, part, target in
            ck_normal(code, seed, part.lowerBound, part.count, mean, deviation, target)
        }
    }

    /// 0 with probability `probability`, else `scale`; shaped and laid out as `model`.
    static func dropoutMask(
        like model: Tensor, probability: Double, scale: Double, using generator: inout Philox
    ) -> Tensor {
        let dtype: DType = model.dtype.isHalf ? .f32 : model.dtype
        let mask = random(model.shape, dtype, model.layout.isDense ? model.layout : Layout(), &generator) {
            code, seed, part, target in
            ck_dropout_mask(dtype.code, seed, part.lowerBound, part.count, probability, scale, target)
        }
        return mask.converted(to: model.dtype)
    }

    private static func random(
        _ shape: [Int], _ dtype: DType, _ layout: Layout, _ generator: inout Philox,
        _ fill: (Int32, UInt64, Range<Int>, UnsafeMutableRawPointer) -> Void
    ) -> Tensor {
        precondition(dtype.isFloat, "random numbers are floats, not \(dtype)")
        if dtype.isHalf { return random(shape, .f32, layout, &generator, fill).converted(to: dtype) }
        let seed = generator.next()
        return Tensor(shape: shape, dtype: dtype, layout: layout) { target in
            inParallel(shape.product, grain: elementwiseGrain) { part in
                fill(dtype.code, seed, part, target + part.lowerBound * dtype.size)
            }
        }
    }
}
