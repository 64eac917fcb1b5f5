import Basics
import Tensors
import Testing

/// What the engine as a whole promises: memory, threads, processors. Serial, because these are set for the whole process.
@Suite(.serialized) struct EngineTests {
    @Test func aChainOfAMillionOperationsIsFreed() throws {
        let before = EngineMemory.balanceOfThread
        for length in [1_000_000, 1_000] {
            let x = try Tensor([1, 2] as [Float]).requiringGradient()
            var y = x
            for _ in 0..<length { y = try y * 1.000001 }
            #expect(try grad(of: y.sum(), with: [x])[0].floats()[0] > 1)
        }
        #expect(EngineMemory.balanceOfThread == before)
    }

    @Test func thePoolKeepsNoMoreThanItsLimit() {
        let block = 8 << 20
        var tensor: Tensor? = .zeros([block / 4])
        let use = EngineMemory.now
        #expect(use.liveBytes >= block && use.peakBytes >= use.liveBytes, "\(tensor?.shape ?? [])")
        tensor = nil
        EngineMemory.limitPool(to: 0)
        defer { EngineMemory.limitPool(to: 1 << 30) }
        #expect(EngineMemory.now.pooledBytes == 0)
        tensor = .zeros([block / 4])
        #expect(tensor?.withUnsafeBytes { Int(bitPattern: $0.baseAddress) % 64 } == 0)
        tensor = nil
        #expect(EngineMemory.now.pooledBytes == 0)
    }

    @Test func aGraphHeldFromTheMiddleSurvivesItsEnd() throws {
        let x = try Tensor(2, dtype: .f64).requiringGradient()
        var y = x
        for _ in 0..<10 { y = try y * x }
        do {
            var end = y
            for _ in 0..<1000 { end = try end * 1.5 }
        }
        #expect(try grad(of: y, with: [x])[0].item() == 11 * 1024)
    }

    @Test func randomNumbersDependOnTheSeedAlone() {
        func draw(_ threads: Int) -> [Tensor] {
            let before = EngineThreads.count
            EngineThreads.count = threads
            defer { EngineThreads.count = before }
            var generator = Philox(seed: 5)
            return [
                .uniform([50_001], using: &generator), .normal([33_333], dtype: .f64, using: &generator),
                .uniform([7], in: -2..<3, using: &generator),
            ]
        }
        let (one, two) = (draw(1), draw(2))
        for (left, right) in zip(one, two) { #expect(left.isIdentical(to: right)) }
        let uniform = one[0].doubles()
        #expect(uniform.allSatisfy { (0..<1).contains($0) })
        #expect(abs(uniform.reduce(0, +) / 50_001 - 0.5) < 0.01)
        let normal = one[1].doubles()
        #expect(abs(normal.reduce(0, +)) / 33_333 < 0.02)
        #expect(abs(normal.reduce(0) { $0 + $1 * $1 } / 33_333 - 1) < 0.03)
    }

    @Test(arguments: [1, 3, 4])
    func resultsDoNotDependOnTheNumberOfThreads(_ threads: Int) throws {
        let before = EngineThreads.count
        defer { EngineThreads.count = before }
        func compute() throws -> [Tensor] {
            var generator = Philox(seed: 9)
            let x = try Tensor.normal([33, 3, 20, 20], using: &generator).requiringGradient()
            let w = try Tensor.normal([8, 3, 5, 5], using: &generator).requiringGradient()
            let v = try Tensor.normal([300, 8 * 64], using: &generator).requiringGradient()
            let scale = try Tensor.ones([8]).requiringGradient()
            let hidden = try x.conv2d(weight: w).batchNorm(weight: scale, bias: nil).output.gelu().maxPool2d(kernel: 2)
            let output = try hidden.flattened(from: 1).linear(weight: v).softmax()
            return [output] + (try grad(of: output.square().sum(), with: [x, w, v, scale])) + (try views())
        }
        func views() throws -> [Tensor] {
            var generator = Philox(seed: 10)
            let x = try Tensor.normal([60, 70, 31], using: &generator).requiringGradient()
            let half = try x.cast(to: .bf16)
            let index = try x.detached.argsort(axis: 1)
            let results = [
                try x.transposed(0, 2).exp(), try (x + x.transposed(0, 1).slice(axis: 0, 0..<60).sum()).sum(axes: [1]),
                try x.windows(axis: 1, size: 5, step: 2).sum(axes: [0]), try x.gather(axis: 1, index),
                try x.sorted(axis: 0).values, try x.cumulativeSum(axis: 2), try x.norm(axes: [0, 2]),
                try x.logSumExp(axes: [1]), try half.matmul(half.transposed()).cast(to: .f32),
                try Tensor.einsum("abc,abd->cd", x, x), try x.flipped(axes: [0, 1]), try x.product(axes: [2]),
            ]
            let total = try results.reduce(Tensor(0)) { try $0 + $1.sum() }
            return results + (try grad(of: total, with: [x]))
        }
        EngineThreads.count = 2
        let expected = try compute()
        EngineThreads.count = threads
        for (left, right) in zip(try compute(), expected) { #expect(left.isIdentical(to: right)) }
    }

    @Test func thePlainAndTheFastKernelsAgree() throws {
        let best = KernelLevel.current
        defer { KernelLevel.limit(to: best) }
        func compute() throws -> [[Tensor]] {
            try DifferentiableCase.all.map { one in
                let variables = try one.inputs().map { try $0.requiringGradient() }
                let output = try one.function(variables)
                return [output] + (try grad(of: output, with: variables, seed: .ones(output.shape, dtype: .f64)))
            }
        }
        KernelLevel.limit(to: 0)
        let plain = try compute()
        for level in 1...2 where level <= best {
            KernelLevel.limit(to: level)
            for (index, (left, right)) in zip(plain, try compute()).enumerated() {
                for (l, r) in zip(left, right) {
                    #expect(largestDifference(l, r) < 1e-11, "\(DifferentiableCase.all[index]) at level \(level)")
                }
            }
        }
    }

    @Test func theFastFunctionsOfFloatsAreWithinAFewUnitsInTheLastPlace() throws {
        let best = KernelLevel.current
        defer { KernelLevel.limit(to: best) }
        // Every exponent that matters, both signs, and the edges.
        var values: [Float] = [0, -0, .infinity, -.infinity, .nan, 88.7, 88.8, -87.4, -103.9, -104.1, 1e-30, 0.625]
        for step in -4000...4000 { values.append(Float(step) * 0.0271828) }
        let x = Tensor(values)
        let functions: [(String, @Sendable (Tensor) throws -> Tensor, Double)] = [
            ("exp", { try $0.exp() }, 3e-7), ("tanh", { try $0.tanh() }, 4e-7), ("sigmoid", { try $0.sigmoid() }, 4e-7),
            ("erf", { try $0.erf() }, 6e-7), ("gelu", { try $0.gelu() }, 1e-6), ("relu", { try $0.relu() }, 0),
        ]
        for (name, function, limit) in functions {
            KernelLevel.limit(to: 0)
            let plain = try function(x).floats()
            for level in 1...2 where level <= best {
                KernelLevel.limit(to: level)
                for (index, (found, expected)) in zip(try function(x).floats(), plain).enumerated() {
                    let isSame = found == expected || found.isNaN && expected.isNaN
                    // GELU's left tail is a difference of nearly equal numbers, for every implementation.
                    let scale = max(Double(abs(expected)), name == "gelu" ? Double(abs(values[index])) : 1e-36)
                    #expect(
                        isSame || Double(abs(found - expected)) / scale <= limit,
                        "\(name)(\(values[index])) is \(found) at level \(level), expected \(expected)")
                }
            }
        }
    }

    @Test func theParallelPoolRunsNestedAndConcurrentWork() async throws {
        let x = Tensor.full(1, [300, 300])
        let sums = try await withThrowingTaskGroup(of: Double.self) { group in
            for _ in 0..<8 { group.addTask { try x.matmul(x).sum().item() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sums == Array(repeating: 300 * 300 * 300, count: 8))
    }
}
