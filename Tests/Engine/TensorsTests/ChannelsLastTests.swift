import Basics
import Testing

@testable import Tensors

/// What runs on pictures that lie channels last gives what the plain kernels give on row-major ones.
struct ChannelsLastTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var input: [Int]
        var outputs: Int
        var window: Window
        var groups = 1
        var testDescription: String { "\(input) to \(outputs), \(window), \(groups) groups" }
    }

    static let cases = [
        Case(input: [2, 1, 9, 9], outputs: 6, window: Window(height: 5, width: 5, padding: 2)),
        Case(input: [17, 3, 12, 10], outputs: 16, window: Window(height: 3, width: 3, padding: 1)),
        Case(input: [4, 16, 7, 7], outputs: 24, window: Window(height: 3, width: 3, stride: 2, padding: 1)),
        Case(input: [3, 8, 6, 6], outputs: 5, window: Window(height: 1, width: 1)),
        Case(input: [3, 8, 7, 7], outputs: 40, window: Window(height: 1, width: 1, stride: 2)),
        Case(input: [5, 24, 8, 8], outputs: 24, window: Window(height: 3, width: 3, padding: 1), groups: 24),
        Case(
            input: [2, 12, 9, 9], outputs: 12, window: Window(height: 3, width: 3, stride: 2, padding: 1), groups: 12),
        Case(
            input: [2, 8, 8, 8], outputs: 16, window: Window(height: 3, width: 3, padding: 2, dilation: 2), groups: 4),
        Case(input: [1, 16, 40, 40], outputs: 32, window: Window(height: 3, width: 3, padding: 1)),
        Case(input: [1, 16, 41, 40], outputs: 32, window: Window(height: 5, width: 3, stride: 2, padding: 1)),
        Case(input: [2, 4, 5, 6], outputs: 4, window: Window(height: 2, width: 3)),
    ]

    /// Within f32's rounding of sums of some thousand products.
    private func expectClose(
        _ quick: Tensor, _ plain: Tensor, _ what: String, sourceLocation: Testing.SourceLocation = #_sourceLocation
    ) {
        #expect(quick.shape == plain.shape, "\(what)", sourceLocation: sourceLocation)
        let (a, b) = (quick.doubles(), plain.doubles())
        let scale = max(1e-3, b.map(abs).max() ?? 1)
        let worst = zip(a, b).map { abs($0 - $1) }.max() ?? 0
        #expect(worst <= 2e-5 * scale, "\(what): \(worst) of \(scale)", sourceLocation: sourceLocation)
    }

    private func plainly<Result>(_ body: () throws -> Result) rethrows -> Result {
        KernelLevel.limit(to: 0)
        defer { KernelLevel.limit(to: 2) }
        return try body()
    }

    @Test(arguments: cases)
    func convolutionsEqualThePlainOnes(_ example: Case) throws {
        var random = Philox(seed: 5, stream: example.testDescription)
        let x = try Tensor.normal(example.input, using: &random).requiringGradient()
        let weightShape =
            [
                example.outputs, example.input[1] / example.groups, example.window.kernelHeight,
                example.window.kernelWidth,
            ]
        let weight = try Tensor.normal(weightShape, using: &random).requiringGradient()
        let bias = try Tensor.normal([example.outputs], using: &random).requiringGradient()
        func all() throws -> [Tensor] {
            let y = try x.conv2d(weight: weight, bias: bias, window: example.window, groups: example.groups)
            // A seed that is not constant, so that no place is mistaken for another.
            var random = Philox(seed: 6, stream: "seed")
            let seed = Tensor.normal(y.shape, using: &random)
            return try [y] + grad(of: y, with: [x, weight, bias], seed: seed)
        }
        let quick = try all()
        let plain = try plainly(all)
        for (name, (a, b)) in zip(["output", "input", "weight", "bias"], zip(quick, plain)) { expectClose(a, b, name) }
    }

    @Test(arguments: [FusedActivation.none, .relu, .relu6], [false, true])
    func whatFollowsAConvolutionIsTheSameInOnePass(_ activation: FusedActivation, _ adds: Bool) throws {
        for batch in [1, 3] {
            var random = Philox(seed: 7, stream: "fused")
            let x = Tensor.normal([batch, 16, 33, 20], deviation: 2, using: &random)
            let weight = Tensor.normal([24, 16, 3, 3], using: &random)
            let bias = Tensor.normal([24], using: &random)
            let window = Window(height: 3, width: 3, padding: 1)
            let residual = adds ? Tensor.normal([batch, 24, 33, 20], deviation: 3, using: &random) : nil
            func all() throws -> [Tensor] {
                let variable = try x.requiringGradient()
                let fused = try x.conv2d(
                    weight: weight, bias: bias, window: window, adding: residual, activation: activation)
                let trained = try variable.conv2d(
                    weight: weight, bias: bias, window: window, adding: residual, activation: activation)
                return try [fused, trained] + grad(of: trained.square().sum(), with: [variable])
            }
            let quick = try all()
            let plain = try plainly(all)
            for (a, b) in zip(quick, plain) { expectClose(a, b, "\(activation), adds \(adds)") }
        }
    }

    @Test func picturesThatAreJoinedStayChannelsLast() throws {
        var random = Philox(seed: 9, stream: "join")
        let parts = try [5, 12, 1].map { try Tensor.normal([3, $0, 6, 4], using: &random).requiringGradient() }
        let seed = Tensor.normal([3, 18, 6, 4], using: &random)
        func all(_ arrange: (Tensor) throws -> Tensor) throws -> [Tensor] {
            let whole = try Tensor.concatenated(parts.map(arrange), axis: 1)
            return try [whole] + grad(of: whole * whole, with: parts, seed: seed)
        }
        let (last, rows) = (try all { try $0.channelsLast() }, try all(\.self))
        #expect(last[0].isChannelsLast && rows[0].isContiguous)
        // The order of the largest part decides.
        #expect(try Tensor.concatenated([parts[0], parts[1].channelsLast()], axis: 1).isChannelsLast)
        #expect(try Tensor.concatenated([parts[0].channelsLast(), parts[1]], axis: 1).isContiguous)
        for (a, b) in zip(last, rows) { #expect(a.doubles() == b.doubles()) }
        // Joined along another axis, too.
        let tall = try Tensor.concatenated([parts[0].channelsLast(), parts[0]], axis: 2)
        #expect(tall.isChannelsLast)
        #expect(try tall.doubles() == Tensor.concatenated([parts[0], parts[0]], axis: 2).doubles())
    }

    @Test func gradientsOfBlocksThatJoinTheirInputsAreThoseOfRowMajorPictures() throws {
        var random = Philox(seed: 10, stream: "block")
        let x = try Tensor.normal([2, 7, 5, 5], using: &random).requiringGradient()
        let weights = try (0..<3).map {
            try Tensor.normal([4, 7 + 4 * $0, 3, 3], deviation: 0.2, using: &random).requiringGradient()
        }
        let seed = Tensor.normal([2, 19, 5, 5], using: &random)
        func all() throws -> [Tensor] {
            let y = try weights.reduce(x) {
                let norm = try $0.batchNorm(weight: nil, bias: nil, activation: .relu)
                return try Tensor.concatenated([$0, norm.output.conv2d(weight: $1, padding: 1)], axis: 1)
            }
            return try [y] + grad(of: y, with: [x] + weights, seed: seed)
        }
        let plain = try plainly(all)
        for (place, (a, b)) in zip(try all(), plain).enumerated() { expectClose(a, b, "\(place)") }
    }

    @Test(arguments: [1, 6, 8, 24, 130, 300], [DType.f32, .f64])
    func batchNormOfRowsEqualsThatOfPlanes(_ channels: Int, _ dtype: DType) throws {
        for activation in [FusedActivation.none, .relu, .relu6] {
            for adds in [false, true] {
                var random = Philox(seed: 8, stream: "norm")
                // Far from 0, where differences of squares would lose digits.
                let x = Tensor.normal([7, channels, 9, 5], mean: 20, deviation: 3, dtype: dtype, using: &random)
                let weight = try Tensor.normal([channels], mean: 1, dtype: dtype, using: &random).requiringGradient()
                let bias = try Tensor.normal([channels], dtype: dtype, using: &random).requiringGradient()
                let other = try Tensor.normal(x.shape, dtype: dtype, using: &random).requiringGradient()
                let seed = Tensor.normal(x.shape, dtype: dtype, using: &random)
                func all(_ input: Tensor) throws -> [Tensor] {
                    let input = try input.requiringGradient()
                    let result = try input.batchNorm(
                        weight: weight, bias: bias, adding: adds ? other : nil, activation: activation)
                    let trained = try input.detached.batchNorm(
                        weight: weight.detached, bias: bias.detached, mean: result.mean, variance: result.variance,
                        adding: adds ? other.detached : nil, activation: activation)
                    let targets = [input, weight, bias] + (adds ? [other] : [])
                    return try [result.output, result.mean, result.variance, trained]
                        + grad(of: result.output, with: targets, seed: seed)
                }
                let rows = try all(x.channelsLast())
                #expect(rows[0].isChannelsLast)
                for (place, (a, b)) in zip(rows, try all(x)).enumerated() {
                    expectClose(a, b, "\(place), \(activation), adds \(adds)")
                }
            }
        }
    }

    @Test func poolingOfChannelsLastEqualsThatOfPlanes() throws {
        for window in [
            Window(height: 2, width: 2, stride: 2), Window(height: 3, width: 3, stride: 2, padding: 1),
            Window(height: 3, width: 2, stride: 1),
        ] {
            var random = Philox(seed: 9, stream: "pool")
            let x = Tensor.normal([3, 6, 9, 8], using: &random)
            func all(_ input: Tensor) throws -> [Tensor] {
                let input = try input.requiringGradient()
                let largest = try input.maxPool2d(window)
                let mean = try input.avgPool2d(window)
                let inner = try input.avgPool2d(window, countsPadding: false)
                return try [largest, mean, inner]
                    + [largest, mean, inner].flatMap { try grad(of: $0.square().sum(), with: [input]) }
            }
            for (a, b) in zip(try all(x.channelsLast()), try all(x)) { expectClose(a, b, "\(window)") }
        }
    }

    @Test func aChangedWeightIsLaidOutAgain() throws {
        var random = Philox(seed: 10, stream: "change")
        let x = Tensor.normal([2, 16, 8, 8], using: &random)
        var weight = Tensor.normal([16, 16, 3, 3], using: &random)
        let window = Window(height: 3, width: 3, padding: 1)
        let before = try x.conv2d(weight: weight, window: window)
        weight.withUnsafeMutableBytes { bytes in
            for place in bytes.bindMemory(to: Float.self).indices {
                let value = bytes.load(fromByteOffset: 4 * place, as: Float.self)
                bytes.storeBytes(of: 2 * value, toByteOffset: 4 * place, as: Float.self)
            }
        }
        expectClose(try x.conv2d(weight: weight, window: window), try before.scaled(by: 2), "twice the weight")
    }

    /// The gradient of a gradient's norm, as WGAN-GP and MAML need it.
    @Test func secondDerivativesEqualThePlainOnes() throws {
        var random = Philox(seed: 11, stream: "second")
        let x = try Tensor.normal([3, 4, 8, 8], using: &random).requiringGradient()
        let first = try Tensor.normal([8, 4, 3, 3], deviation: 0.3, using: &random).requiringGradient()
        let second = try Tensor.normal([8, 1, 3, 3], deviation: 0.3, using: &random).requiringGradient()
        let weight = try Tensor.normal([8], mean: 1, using: &random).requiringGradient()
        func all() throws -> [Tensor] {
            let window = Window(height: 3, width: 3, padding: 1)
            let hidden = try x.conv2d(weight: first, window: window, activation: .relu6)
            let normal = try hidden.conv2d(weight: second, window: window, groups: 8)
                .batchNorm(weight: weight, bias: nil, adding: hidden, activation: .relu)
            let score = try normal.output.maxPool2d(kernel: 2).avgPool2d(kernel: 2).square().sum()
            let slope = try grad(of: score, with: [x], createGraph: true)[0]
            return try [slope] + grad(of: slope.square().sum(), with: [x, first, second, weight])
        }
        for (place, (a, b)) in zip(try all(), try plainly(all)).enumerated() { expectClose(a, b, "gradient \(place)") }
    }
}
