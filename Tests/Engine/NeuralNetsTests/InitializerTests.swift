import Basics
import NeuralNets
import Tensors
import Testing

@Suite struct InitializerTests {
    /// Made by Tests/Fixtures/neuralnets/make_layers.py.
    private struct Fixture: Decodable {
        struct Cases: Decodable {
            var gains: [String: Double]
            var filled: [String: Fixtures.Values]
            var truncated: [String: Double]
        }
        var cases: Cases
    }

    private let fixture: Fixture.Cases
    private var generator = Philox(seed: 9)

    init() throws {
        let fixture: Fixture = try Fixtures.load("initializers.json")
        self.fixture = fixture.cases
    }

    @Test func gainsAreThoseOfPyTorch() {
        let gains: [String: Nonlinearity] = [
            "linear": .linear, "sigmoid": .sigmoid, "tanh": .tanh, "relu": .relu, "selu": .selu,
            "leakyReLU": .leakyReLU(slope: 0.2),
        ]
        #expect(Set(gains.keys) == Set(fixture.gains.keys))
        for (name, kind) in gains { #expect(abs(kind.gain - (fixture.gains[name] ?? 0)) < 1e-12, "\(name)") }
    }

    @Test mutating func whatIsNotRandomEqualsPyTorch() throws {
        let ways: [String: Initializer] = ["dirac": .dirac(), "diracGroups": .dirac(groups: 2), "eye": .eye]
        for (name, way) in ways {
            let expected = try #require(fixture.filled[name])
            #expect(way(expected.shape, using: &generator).isIdentical(to: expected.tensor), "\(name)")
        }
        #expect(Initializer.zeros([3], using: &generator).floats() == [0, 0, 0])
        #expect(Initializer.ones([2], dtype: .f64, using: &generator).doubles() == [1, 1])
    }

    @Test(arguments: [[6, 10], [10, 6], [4, 3, 2, 2], [5, 5]])
    mutating func orthogonalRowsStandAtRightAngles(_ shape: [Int]) throws {
        let weight = Initializer.orthogonal(gain: 2)(shape, dtype: .f64, using: &generator)
        let matrix = try weight.reshaped([shape[0], -1])
        let isWide = matrix.shape[0] <= matrix.shape[1]
        let products = try matrix.matmul(matrix, transposesSelf: !isWide, transposesOther: isWide)
        let expected = try Tensor.identity(products.shape[0], dtype: .f64).scaled(by: 4)
        #expect(Fixtures.difference(products, expected) < 1e-12)
    }

    @Test mutating func aTruncatedNormalHasTheMomentsOfPyTorch() throws {
        let way = Initializer.truncatedNormal(mean: 0.5, deviation: 1.5, bounds: -1...2)
        let values = way([200, 200], using: &generator).doubles()
        let mean = values.reduce(0, +) / Double(values.count)
        let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
        #expect(abs(mean - (fixture.truncated["mean"] ?? 0)) < 0.02)
        #expect(abs(deviation - (fixture.truncated["deviation"] ?? 0)) < 0.02)
        #expect(values.allSatisfy { (-1...2).contains($0) })
    }

    @Test mutating func aSparseMatrixHasItsShareOfZerosInEachColumn() {
        let values = Initializer.sparse(share: 0.35, deviation: 1)([10, 30], using: &generator).floats()
        for column in 0..<30 { #expect((0..<10).count { values[$0 * 30 + column] == 0 } == 4) }
    }

    @Test mutating func fanOutCountsOutputs() {
        let shape = [64, 32, 3, 3]  // fan-in 288, fan-out 576
        let values = Initializer.kaimingNormal(gain: Nonlinearity.tanh.gain, mode: .fanOut)(shape, using: &generator)
            .doubles()
        let measured = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
        #expect(abs(measured / (5.0 / 3 / 24) - 1) < 0.02)
    }
}
