import Basics
import Tensors
import Testing

/// Views share memory, read like copies, and are never read in the wrong order.
@Suite struct ViewTests {
    private func numbers(_ shape: [Int], dtype: DType = .f32) throws -> Tensor {
        try Tensor.arange(shape.reduce(1, *)).reshaped(shape).cast(to: dtype)
    }

    /// The address of the first element, without copying.
    private func address(_ x: Tensor) -> Int { x.withUnsafeBytes { Int(bitPattern: $0.baseAddress) } }

    @Test(arguments: DType.allCases.filter { $0 != .bool })
    func everyViewReadsItsElements(_ dtype: DType) throws {
        let x = try numbers([2, 3, 4], dtype: dtype)
        #expect(try x.transposed(0, 2).selected(axis: 0, 3).floats() == [3, 15, 7, 19, 11, 23])
        #expect(try x.permuted([1, 2, 0]).shape == [3, 4, 2])
        #expect(try x.slice(axis: 2, 1..<4, step: 2).floats() == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23])
        #expect(try x.selected(axis: 1, -1).floats() == [8, 9, 10, 11, 20, 21, 22, 23])
        #expect(
            try x.slice(axis: 0, 1..<2).broadcast(to: [2, 3, 4]).selected(axis: 2, 0).floats() == [
                12, 16, 20, 12, 16, 20,
            ])
        #expect(try x.selected(axis: 0, 0).windows(axis: 1, size: 2, step: 2).shape == [3, 2, 2])
        #expect(
            try x.selected(axis: 0, 0).windows(axis: 1, size: 3).selected(axis: 0, 1).floats() == [4, 5, 6, 5, 6, 7])
        #expect(try x.transposed(1, 2).reshaped([2, 12]).floats().prefix(6) == [0, 4, 8, 1, 5, 9])
        #expect(try x.transposed(1, 2).contiguous().isContiguous)
    }

    @Test func viewsCopyNothing() throws {
        let x = try numbers([64, 64, 64])
        let before = EngineMemory.balanceOfThread
        let views = [
            try x.transposed(), try x.permuted([2, 0, 1]), try x.slice(axis: 1, 3..<40, step: 2),
            try x.selected(axis: 2, 5), try x.unsqueezed(1).squeezed(1), try x.reshaped([-1]),
            try x.unsqueezed(0).broadcast(to: [9, 64, 64, 64]), try x.windows(axis: 0, size: 3),
            try x.transposed(0, 1).reshaped([64, 64, 8, 8]), try x.slice(axis: 0, 1..<3).reshaped([2, 4096]),
        ]
        #expect(EngineMemory.balanceOfThread == before, "\(views.count) views")
        #expect(try address(x.slice(axis: 0, 2..<3)) == address(x) + 2 * 64 * 64 * 4)
    }

    @Test func writingInPlaceLeavesWhatSharesTheMemoryAlone() throws {
        let x = try numbers([2, 3])
        var view = try x.transposed()
        view.withUnsafeMutableBytes { $0.storeBytes(of: 9, toByteOffset: 4, as: Float.self) }
        #expect(view.floats() == [0, 9, 1, 4, 2, 5])
        #expect(x.floats() == [0, 1, 2, 3, 4, 5])
        var row = try x.selected(axis: 0, 1)
        row.withUnsafeMutableBytes { $0.storeBytes(of: 7, as: Float.self) }
        #expect(row.floats() == [7, 4, 5])
        #expect(x.floats() == [0, 1, 2, 3, 4, 5])
    }

    @Test func elementwiseOperationsKeepChannelsLast() throws {
        let x = try numbers([2, 3, 4, 5]).channelsLast()
        let row = try numbers([2, 3, 4, 5])
        #expect(x.isChannelsLast && !x.isContiguous && x.strides == [60, 1, 15, 3])
        #expect(x.floats() == row.floats())
        let variable = try x.requiringGradient()
        let results = [
            try x + x, try x * 2, try x.exp(), try x.relu(), try x.cast(to: .f64), try x.maximum(x + 1),
            try x + Tensor.ones([3, 1, 1]), try Tensor.ones([2, 3, 1, 1]) * x, try x + row,
            try grad(of: variable.gelu(), with: [variable], seed: x)[0],
            try grad(of: (variable * variable).relu(), with: [variable], seed: row)[0],
        ]
        for (index, result) in results.enumerated() { #expect(result.isChannelsLast, "\(index)") }
        #expect(try (x + row).floats() == (row + row).floats())
        #expect(try (x + Tensor(2)).floats() == row.shifted(by: 2).floats())
        #expect(try x.contiguous().isContiguous && x.contiguous().channelsLast().isIdentical(to: x))
        #expect(try numbers([2, 1, 4, 5]).isChannelsLast && numbers([2, 3, 1, 1]).isChannelsLast)
    }

    @Test func operandsOfAnyLayoutGiveTheSameAnswer() throws {
        let (x, y) = (try numbers([33, 45]), try numbers([45, 33]))
        var expected: [Float] = []
        for i in 0..<33 { for j in 0..<45 { expected.append(Float(i * 45 + j - (j * 33 + i))) } }
        #expect(try (x - y.transposed()).floats() == expected)
        #expect(try (y.transposed() - x).floats() == expected.map { -$0 })
        #expect(try (x.transposed() - y).transposed().floats() == expected)
        #expect(try (x.slice(axis: 1, 0..<45, step: 3) + Tensor.ones([33, 1])).shape == [33, 15])
        let column = try x.selected(axis: 1, 2)
        #expect(try (column + column).floats()[1] == 94)
        let sums = try x.transposed().unsqueezed(0).broadcast(to: [2, 45, 33]).sum(axes: [0, 2])
        #expect(try sums.isIdentical(to: x.sum(axes: [0]) * 2))
        let images = try numbers([2, 3, 4, 5])
        for axes in [[0, 2, 3], [1], [2, 3], [0, 1], [3]] {
            #expect(try images.channelsLast().sum(axes: axes).isIdentical(to: images.sum(axes: axes)), "\(axes)")
        }
    }

    @Test func productsOfViewsNeedNoCopy() throws {
        let (x, y) = (try numbers([3, 5]) * 0.1, try numbers([3, 4]) * 0.1)
        let expected = try x.matmul(y, transposesSelf: true, transposesOther: false)
        #expect(try x.transposed().matmul(y).isIdentical(to: expected))
        let wide = try Tensor.concatenated([x.transposed(), Tensor.ones([5, 2])], axis: 1)
        #expect(try wide.slice(axis: 1, 0..<3).matmul(y).floats() == expected.floats())
        let odd = try Tensor.stacked([x.transposed(), x.transposed()], axis: 2).slice(axis: 2, 0..<1).squeezed(2)
        #expect(try odd.matmul(y).floats() == expected.floats())
        let heads = try numbers([2, 6, 3, 4]) * 0.01
        let (q, k) = (try heads.transposed(1, 2), try heads.transposed(1, 2).transposed())
        let scores = try q.contiguous().matmul(k.contiguous())
        // Another order of the sums may round in another way.
        for (view, whole) in zip(try q.matmul(k).floats(), scores.floats()) { #expect(abs(view - whole) <= 1e-5) }
        #expect(try q.matmul(k.slice(axis: 0, 0..<1)).shape == [2, 3, 6, 6])
    }

    @Test func shapesThatDoNotFitAreNamed() throws {
        let x = Tensor.zeros([2, 3])
        for (text, body) in [
            ("`select`: shape [2, 3] does not fit: entry 5", { try x.selected(axis: 1, 5) }),
            ("`windows`: shape [2, 3] does not fit: windows of 4", { try x.windows(axis: 1, size: 4) }),
            ("`slice`: shape [2, 3] does not fit: step 0", { try x.slice(axis: 1, 0..<2, step: 0) }),
            ("`channelsLast`: shape [2, 3] does not fit", { try x.channelsLast() }),
            ("`broadcast`: shapes [2, 3] and [3] do not fit", { try x.broadcast(to: [3]) }),
        ] as [(String, () throws -> Tensor)] {
            #expect { try body() } throws: { ($0 as? MLOpsError)?.message.hasPrefix(text) == true }
        }
    }
}
