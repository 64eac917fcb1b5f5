import Basics
import Tensors
import Testing

/// f16, bf16 and bool: rounding, arithmetic, products, autocast.
@Suite(.serialized) struct DTypeTests {
    @Test func halvesRoundToTheNearestEven() throws {
        let best = KernelLevel.current
        defer { KernelLevel.limit(to: best) }
        // Every half there is, the places between two of them, and what lies beyond.
        var values: [Float] = [.infinity, -.infinity, 65504, 65519.996, 65520, 1e30, -1e-30, 2e-8, 3e-8, 2.9802322e-8]
        for bits in stride(from: 0, to: UInt32(1) << 31, by: 1 << 12) {
            values.append(Float(bitPattern: bits | 0x1000))
        }
        for bits in stride(from: 0, to: UInt32(1) << 31, by: 99_991) { values.append(-Float(bitPattern: bits)) }
        values = values.filter { !$0.isNaN }
        let x = Tensor(values)
        for level in 0...best {
            KernelLevel.limit(to: level)
            let halves = try x.cast(to: .f16).elements(as: Float16.self)
            let isRight = zip(halves, values).allSatisfy { $0 == Float16($1) }
            #expect(isRight, "f16 at level \(level)")
            let back = try x.cast(to: .f16).floats()
            #expect(zip(back, halves).allSatisfy { $0 == Float($1) }, "f16 to f32 at level \(level)")
            let brain = try x.cast(to: .bf16).floats()
            let rounded = values.map { value in
                let bits = value.bitPattern
                return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
            }
            #expect(brain == rounded, "bf16 at level \(level)")
        }
        for type in [DType.f16, .bf16] {
            #expect(try Tensor([.nan] as [Float]).cast(to: type).floats()[0].isNaN)
            #expect(try Tensor([2.7, -3.2] as [Double]).cast(to: type).cast(to: .i64).int64s() == [2, -3])
        }
    }

    @Test(arguments: [DType.f16, .bf16])
    func halvesAreComputedInSingleAndRoundedOnce(_ type: DType) throws {
        var generator = Philox(seed: 5)
        let (x, y) = (
            Tensor.normal([40, 70], dtype: type, using: &generator), Tensor.normal([70], dtype: type, using: &generator)
        )
        let (a, b) = (try x.cast(to: .f32), try y.cast(to: .f32))
        let pairs: [(Tensor, Tensor)] = [
            (try x + y, try a + b), (try x * y, try a * b), (try x.exp(), try a.exp()), (try x.sum(), try a.sum()),
            (try x.mean(axes: [0]), try a.mean(axes: [0])), (try x.max(axis: 1), try a.max(axis: 1)),
            (try x.matmul(y.unsqueezed(1)), try a.matmul(b.unsqueezed(1))), (try x.softmax(), try a.softmax()),
            (
                try x.linear(weight: x, bias: x.selected(axis: 1, 0)),
                try a.linear(weight: a, bias: a.selected(axis: 1, 0))
            ),
            (try x.unsqueezed(0).matmul(x.transposed()), try a.unsqueezed(0).matmul(a.transposed())),
            (try x.layerNorm(weight: y, bias: y), try a.layerNorm(weight: b, bias: b)),
            (try x.sorted(axis: 0).values, try a.sorted(axis: 0).values),
            (try x.norm(axes: [1]), try a.norm(axes: [1])),
        ]
        for (index, (half, single)) in pairs.enumerated() {
            #expect(half.dtype == type, "\(index)")
            #expect(try half.isIdentical(to: single.cast(to: type)), "\(index)")
        }
        let variable = try x.requiringGradient()
        let found = try grad(of: (variable * variable).tanh().sum(), with: [variable])[0]
        #expect(found.dtype == type)
    }

    @Test func comparisonsAndLogicGiveBool() throws {
        let x = Tensor([1, 2, .nan, 4] as [Float])
        let y = Tensor([1, 3, .nan, 2] as [Float])
        func truths(_ x: Tensor) -> [Bool] { x.elements() }
        #expect(truths(try x .== y) == [true, false, false, false])
        #expect(truths(try x .!= y) == [false, true, true, true])
        #expect(truths(try x .< y) == [false, true, false, false])
        #expect(truths(try x .>= 2) == [false, true, false, true])
        #expect(truths(try Tensor([1, 2] as [Int64]) .< 1.5) == [true, false])
        #expect(truths(try Tensor([1, 2] as [UInt8]) .> -1) == [true, true])
        #expect(truths(try (x .> 1) .& (x .< 3)) == [false, true, false, false])
        #expect(truths(try .!(x .> 1) .| (x .> 3)) == [true, false, true, true])
        #expect(truths(try (x .> 1) .^ Tensor([true])) == [true, false, true, false])
        #expect(try (x .> 1).any().item() == 1 && (x .> 1).all().item() == 0)
        #expect(truths(try Tensor([1, 0, 2, 3] as [Int32], shape: [2, 2]).all(axes: [1])) == [false, true])
        #expect(throws: MLOpsError.self) { try (x .> 1) + (x .> 1) }
        #expect(throws: MLOpsError.self) { try x .& y }
    }

    @Test func autocastRoundsProductsAndGradientsComeBackInSingle() throws {
        var generator = Philox(seed: 2)
        let x = Tensor.normal([6, 8], using: &generator)
        let w = try Tensor.normal([5, 8], using: &generator).requiringGradient()
        let images = Tensor.normal([2, 3, 6, 6], using: &generator)
        let kernel = try Tensor.normal([4, 3, 3, 3], using: &generator).requiringGradient()
        let labels = Tensor([0, 1, 2, 3, 4, 0] as [Int64])
        let (hidden, loss, pooled) = try autocast(to: .bf16) {
            let hidden = try x.linear(weight: w, bias: .zeros([5]))
            return (
                hidden, try (hidden.relu() + x.slice(axis: 1, 0..<5)).crossEntropy(labels),
                try images.conv2d(weight: kernel, padding: 1)
            )
        }
        #expect(hidden.dtype == .bf16 && loss.dtype == .f32 && pooled.dtype == .bf16)
        let expected = try x.cast(to: .bf16).cast(to: .f32)
            .matmul(w.cast(to: .bf16).cast(to: .f32).transposed()).cast(to: .bf16)
        #expect(hidden.isIdentical(to: expected.detached))
        let gradient = try grad(of: loss, with: [w])[0]
        #expect(gradient.dtype == .f32)
        let exact = try grad(
            of: (x.linear(weight: w, bias: .zeros([5])).relu() + x.slice(axis: 1, 0..<5)).crossEntropy(labels),
            with: [w])[0]
        #expect(largestDifference(gradient, exact) < 0.02)
        #expect(try grad(of: pooled.sum(), with: [kernel])[0].dtype == .f32)
        #expect(try x.matmul(w.transposed()).dtype == .f32, "autocast ends with its scope")
        #expect(throws: MLOpsError.self) { try autocast(to: .f64) { 1 } }
    }

    @Test func theScalerSkipsWhatIsNotFiniteAndGrowsAgain() throws {
        var scaler = try GradientScaler(scale: 1024, interval: 2)
        let x = try Tensor([3] as [Float]).requiringGradient()
        let gradients = try grad(of: scaler.scaled((x * x).sum()), with: [x])
        #expect(gradients[0].floats() == [6144])
        #expect(try scaler.unscaled(gradients)?[0].floats() == [6])
        #expect(try (scaler.unscaled([Tensor([.infinity] as [Float])])?.count ?? 0) == 0 && scaler.scale == 512)
        #expect(try scaler.unscaled(gradients)?.count == 1 && scaler.scale == 512)
        #expect(try scaler.unscaled(gradients)?.count == 1 && scaler.scale == 1024)
        #expect(throws: MLOpsError.self) { try GradientScaler(scale: -1) }
    }
}
