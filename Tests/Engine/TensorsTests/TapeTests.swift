import Basics
import Tensors
import Testing

/// Hooks, checkpoints and accumulation on the tape.
@Suite struct TapeTests {
    @Test func aHookSeesAndChangesTheGradient() throws {
        let x = try Tensor([1, 2] as [Float]).requiringGradient()
        let seen = Seen()
        let y = try (x * 3).onGradient { gradient in
            seen.values = gradient.floats()
            return try gradient * 10
        }
        #expect(try grad(of: (y * y).sum(), with: [x])[0].floats() == [180, 360])
        #expect(seen.values == [6, 12])
        let wrong = try (x * 3).onGradient { _ in .zeros([3]) }
        #expect(throws: MLOpsError.self) { try grad(of: wrong.sum(), with: [x]) }
    }

    /// Written and read on one thread.
    private final class Seen: @unchecked Sendable { var values: [Float] = [] }

    @Test func aCheckpointKeepsNoIntermediateResultAndRepeatsItsDropout() throws {
        var generator = Philox(seed: 4)
        let x = try Tensor.normal([64, 256], using: &generator).requiringGradient()
        let w = try Tensor.normal([256, 256], using: &generator).requiringGradient()
        let body: @Sendable ([Tensor], inout Philox) throws -> Tensor = { inputs, generator in
            var h = inputs[0]
            for _ in 0..<8 { h = try (h.matmul(inputs[1]) * 0.05).dropout(0.3, using: &generator).tanh() }
            return h
        }
        var first = generator
        var second = generator
        let start = EngineMemory.balanceOfThread
        let kept = try checkpoint([x, w], using: &first, body)
        #expect(EngineMemory.balanceOfThread - start <= 80_000, "only the output is kept")
        let plain = try body([x, w], &second)
        #expect(first == second && kept.isIdentical(to: plain))
        let found = try grad(of: kept.square().sum(), with: [x, w])
        let expected = try grad(of: plain.square().sum(), with: [x, w])
        for (left, right) in zip(found, expected) { #expect(left.isIdentical(to: right)) }
    }

    @Test func aCheckpointThatReadsAnotherVariableThrows() throws {
        let x = try Tensor([1, 2] as [Float]).requiringGradient()
        let w = try Tensor([3, 4] as [Float]).requiringGradient()
        let y = try checkpoint([x]) { try $0[0] * w }
        #expect { try grad(of: y.sum(), with: [x]) } throws: {
            ($0 as? MLOpsError)?.message.contains("reads a variable that is not among its 1 inputs") == true
        }
    }

    @Test func gradientsThatMeetAreAddedInPlaceAndLeaveTheSeedAlone() throws {
        let x = try Tensor([1, 2] as [Float]).requiringGradient()
        let seed = Tensor([1, 1] as [Float])
        let y = try x + x + x + x
        #expect(try grad(of: y, with: [x], seed: seed)[0].floats() == [4, 4])
        #expect(seed.floats() == [1, 1])
        let z = try x * 1
        let both = try grad(of: z + z * 2, with: [z, x], seed: seed)
        #expect(both[0].floats() == [3, 3] && both[1].floats() == [3, 3])
    }

    /// Were each slice's gradient as large as what it was cut from, this would move 30 GB.
    @Test func gradientsOfManySlicesAreAddedInPlace() throws {
        let count = 20_000
        let x = try Tensor((0..<count * 20).map { Float($0 % 7) }, shape: [count, 20]).requiringGradient()
        let rows = try (0..<count).map { try x.selected(axis: 0, $0) }
        // Overlapping ones, with steps, of the whole, and the whole itself.
        let parts = try [x.slice(axis: 1, 0..<12), x.slice(axis: 1, 8..<20), x.slice(axis: 1, 0..<12, step: 1)]
        let joined =
            try Tensor.stacked(rows) * x + Tensor.concatenated([parts[0], parts[1].slice(axis: 1, 0..<8)], axis: 1)
        let y = try joined.sum() + parts[2].slice(axis: 0, 0..<count, step: 2).sum() * 10
        let found = try grad(of: y, with: [x])[0].floats()
        var expected = x.floats().map { 2 * $0 }
        for index in expected.indices {
            let (row, column) = (index / 20, index % 20)
            if column < 12 { expected[index] += 1 }
            if (8..<16).contains(column) { expected[index] += 1 }
            if column < 12, row % 2 == 0 { expected[index] += 10 }
        }
        #expect(found == expected)
    }

    @Test func gradientsOfSlicesCanBeDifferentiatedAgain() throws {
        let x = try Tensor([1, 2, 3, 4] as [Double]).requiringGradient()
        let (a, b) = (try x.slice(axis: 0, 0..<3), try x.slice(axis: 0, 1..<4))
        let first = try grad(of: (a * a * b).sum(), with: [x], createGraph: true)[0]
        // Σ a²b = x0²x1 + x1²x2 + x2²x3
        #expect(first.doubles() == [4, 1 + 12, 4 + 24, 9])
        #expect(try grad(of: first.selected(axis: 0, 1), with: [x])[0].doubles() == [2, 6, 4, 0])
    }

    @Test func aGraphThatIsNotKeptIsGivenBackOnTheWay() throws {
        let x = try Tensor.ones([1 << 16]).requiringGradient()
        func make() throws -> Tensor { try (0..<20).reduce(x) { y, _ in try y * y }.sum() }
        let kept = try make()
        let expected = try grad(of: kept, with: [x])[0].floats()
        #expect(try grad(of: kept, with: [x])[0].floats() == expected)
        let y = try make()
        let before = EngineMemory.balanceOfThread
        let gradient = try grad(of: y, with: [x], keepsGraph: false)[0]
        #expect(gradient.floats() == expected)
        // The outputs of nineteen products, of 256 KiB each, are gone although `y` is still there; one gradient has come.
        #expect(EngineMemory.balanceOfThread < before - 17 * (1 << 18))
        let error = try #require(throws: MLOpsError.self) { try grad(of: y, with: [x]) }
        #expect(error.message.contains("was given back") && error.hint?.contains("keepsGraph") == true)
    }

    @Test func everyRecordedOperationHasACase() throws {
        var met = try Tensor([1.0]).requiringGradient().cast(to: .f32).recordedOperations
        for one in DifferentiableCase.all {
            let variables = try one.inputs().map { try $0.requiringGradient() }
            let output = try one.function(variables)
            met.formUnion(output.recordedOperations)
            let seed = try Tensor.ones(output.shape, dtype: .f64).requiringGradient()
            for gradient in try grad(of: output, with: variables, seed: seed, createGraph: true) {
                met.formUnion(gradient.recordedOperations)
                // The gradient is linear in its seed; what that seed gets back is the adjoint's adjoint.
                guard
                    let again = try? grad(
                        of: gradient, with: [seed], seed: Tensor.ones(gradient.shape, dtype: .f64).requiringGradient(),
                        createGraph: true)[0]
                else { continue }
                met.formUnion(again.recordedOperations)
            }
        }
        let folder = String(#filePath.prefix(upTo: #filePath.range(of: "/Tests/"))) + "/Sources/Engine/Tensors/"
        let pattern = try Regex("(?:record|recorded|function|rounding|selecting|summing)\\(\\s*\"([A-Za-z0-9]+)\"")
        var named: Set<String> = []
        for file in try FileSystem.list(folder) where file.hasSuffix(".swift") {
            let text = String(decoding: try FileSystem.read(folder + file), as: UTF8.self)
            for match in text.matches(of: pattern) { named.insert(String(match.output[1].substring ?? "")) }
        }
        #expect(named.count > 60)
        #expect(named.subtracting(met).sorted() == [])
    }
}
