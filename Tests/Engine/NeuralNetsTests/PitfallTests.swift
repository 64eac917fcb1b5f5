import Basics
import NeuralNets
import Tensors
import Testing

/// What Documentation/engine.md says can be seen.
@Suite struct PitfallTests {
    /// The rows of what a layer makes of ones, without their outermost `margin` places.
    private func inside(_ output: Tensor, margin: Int) throws -> Set<[Float]> {
        let (height, width) = (output.shape[2], output.shape[3])
        let core = try output.slice(axis: 2, margin..<(height - margin)).slice(axis: 3, margin..<(width - margin))
        let values = core.floats()
        let size = width - 2 * margin
        return Set((0..<(height - 2 * margin)).map { Array(values[($0 * size)..<(($0 + 1) * size)]) })
    }

    @Test func aKernelThatIsNoMultipleOfTheStrideMakesACheckerboard() throws {
        let ones = Tensor.ones([1, 1, 6, 6])
        func enlarged(_ kernel: Int) throws -> Tensor {
            try ones.convTranspose2d(
                weight: .ones([1, 1, kernel, kernel]), window: Window(height: kernel, width: kernel, stride: 2))
        }
        let uneven = try enlarged(3)
        #expect(uneven.shape == [1, 1, 13, 13])
        let (few, many): ([Float], [Float]) = ([2, 1, 2, 1, 2, 1, 2, 1, 2], [4, 2, 4, 2, 4, 2, 4, 2, 4])
        #expect(try inside(uneven, margin: 2) == [few, many])
        #expect(try inside(enlarged(4), margin: 2) == [[Float](repeating: 4, count: 10)])
        let larger = try Upsample(factor: 2)(ones).conv2d(weight: .ones([1, 1, 3, 3]), padding: 1)
        #expect(try inside(larger, margin: 1) == [[Float](repeating: 9, count: 10)])
    }

    /// The pattern is there in a layer as it begins, before anything was learned.
    @Test func aFreshTransposedConvolutionShowsIt() throws {
        var random = Philox(seed: 3)
        /// The variance of places that four pixels of the input reach, over that of places that one reaches.
        func ratio(_ kernel: Int) throws -> Double {
            let layer = ConvTranspose2d(64, 1, kernel: kernel, stride: 2, hasBias: false, using: &random)
            let squares = try layer(.normal([8, 64, 16, 16], using: &random)).square()
            func mean(from start: Int) throws -> Double {
                try squares.slice(axis: 2, start..<28, step: 2).slice(axis: 3, start..<28, step: 2).mean().item()
            }
            return try mean(from: 4) / mean(from: 5)
        }
        #expect((3...5.5).contains(try ratio(3)))
        #expect((0.6...1.7).contains(try ratio(4)))
    }

    @Test func batchNormGivesOtherNumbersInTrainingThanInInference() throws {
        var random = Philox(seed: 4)
        let norm = BatchNorm1d(channels: 2)
        let x = Tensor.normal([64, 2], mean: 5, deviation: 3, using: &random)
        norm.setTraining(true)
        let trained = try norm(x).mean(axes: [0]).floats()
        #expect(trained.allSatisfy { abs($0) < 1e-4 })
        // One batch moved the running statistics by a tenth only.
        let early = try norm.inferring { try norm(x).mean(axes: [0]).floats() }
        #expect(early.allSatisfy { $0 > 2 })
        for _ in 0..<100 { _ = try norm(x) }
        let late = try norm.inferring { try norm(x).mean(axes: [0]).floats() }
        #expect(late.allSatisfy { abs($0) < 0.01 })
    }
}
