import Basics
import Tensors
import Testing

/// Values and gradients of PyTorch, made by Tests/Fixtures/tensors/make_fixtures.py.
struct OperationFixture: Decodable {
    struct Values: Decodable {
        var shape: [Int]
        var values: [Float]
        var tensor: Tensor { Tensor(values, shape: shape) }
    }
    struct Case: Decodable {
        var inputs: [Values]
        var output: Values
        var upstream: Values
        var gradients: [Values]
    }
    var cases: [String: Case]

    static func load() throws -> OperationFixture {
        let folder = String(#filePath.prefix(upTo: #filePath.range(of: "/Engine/")))
        let path = folder + "/Fixtures/tensors/operations.json"
        return try JSONValue(parsing: FileSystem.read(path), source: path).decode()
    }
}

extension StringProtocol {
    /// Where `text` starts.
    func range(of text: String) -> Index {
        indices.first { self[$0...].hasPrefix(text) } ?? endIndex
    }
}

@Suite struct PyTorchTests {
    @Test func everyOperationGivesTheValuesAndGradientsOfPyTorch() throws {
        let fixture = try OperationFixture.load()
        #expect(Set(fixture.cases.keys) == Set(PyTorchTests.functions.keys))
        for (name, function) in PyTorchTests.functions {
            guard let expected = fixture.cases[name] else { continue }
            let variables = try expected.inputs.map { try $0.tensor.requiringGradient() }
            let output = try function(variables)
            #expect(difference(output, expected.output.tensor) <= 1e-5, "output of \(name)")
            let gradients = try grad(of: output, with: variables, seed: expected.upstream.tensor)
            for (index, gradient) in gradients.enumerated() {
                #expect(
                    difference(gradient, expected.gradients[index].tensor) <= 1e-5, "gradient \(index) of \(name)")
            }
        }
    }

    /// The largest difference, relative to the largest value of the tensor.
    private func difference(_ found: Tensor, _ expected: Tensor) -> Float {
        guard found.shape == expected.shape else { return .infinity }
        let scale = expected.floats().reduce(1e-3) { max($0, abs($1)) }
        return zip(found.floats(), expected.floats()).reduce(0) { worst, pair in
            let difference = abs(pair.0 - pair.1) / scale
            return difference.isNaN ? .infinity : max(worst, difference)
        }
    }

    private static let labels = Tensor([0, 3, 4, 2, 2, 1] as [Int64])
    private static let weights = Tensor([0.5, 1.0, 2.0, 0.25, 1.5] as [Float])
    private static let targets = Tensor([0, 1, 0.3, 1, 0, 0.9] as [Float], shape: [2, 3])

    private static let functions: [String: @Sendable ([Tensor]) throws -> Tensor] = [
        "exp": { try $0[0].exp() },
        "tanh": { try $0[0].tanh() },
        "sigmoid": { try $0[0].sigmoid() },
        "relu": { try $0[0].relu() },
        "leakyReLU": { try $0[0].leakyReLU() },
        "gelu": { try $0[0].gelu() },
        "geluTanh": { try $0[0].gelu(.tanh) },
        "softplus": { try $0[0].softplus() },
        "softmax": { try $0[0].softmax() },
        "softmax0": { try $0[0].softmax(axis: 0) },
        "logSoftmax": { try $0[0].logSoftmax() },
        "matmul": { try $0[0].matmul($0[1]) },
        "batchedMatmul": { try $0[0].matmul($0[1]) },
        "linear": { try $0[0].linear(weight: $0[1], bias: $0[2]) },
        "variance": { try $0[0].variance(axes: [0, 2], correction: 1) },
        "conv": { try $0[0].conv2d(weight: $0[1], bias: $0[2], padding: 2) },
        "convStride": { try $0[0].conv2d(weight: $0[1], bias: $0[2], stride: 2, padding: 1) },
        "convDilated": { try $0[0].conv2d(weight: $0[1], padding: 2, dilation: 2) },
        "convGroups": { try $0[0].conv2d(weight: $0[1], bias: $0[2], padding: 1, groups: 2) },
        "convDepthwise": { try $0[0].conv2d(weight: $0[1], padding: 1, groups: 4) },
        "convPointwise": { try $0[0].conv2d(weight: $0[1]) },
        "maxPool": { try $0[0].maxPool2d(kernel: 2) },
        "maxPoolOverlapping": { try $0[0].maxPool2d(kernel: 3, stride: 2, padding: 1) },
        "avgPool": { try $0[0].avgPool2d(kernel: 2) },
        "avgPoolPadded": { try $0[0].avgPool2d(kernel: 3, stride: 2, padding: 1) },
        "avgPoolUncounted": { try $0[0].avgPool2d(kernel: 3, stride: 2, padding: 1, countsPadding: false) },
        "batchNorm": { try $0[0].batchNorm(weight: $0[1], bias: $0[2]).output },
        "batchNormDense": { try $0[0].batchNorm(weight: $0[1], bias: $0[2]).output },
        "batchNormInference": {
            try $0[0].batchNorm(
                weight: $0[1], bias: $0[2], mean: Tensor([0.5, -1, 0.25] as [Float]),
                variance: Tensor([1.5, 0.5, 2] as [Float]))
        },
        "layerNorm": { try $0[0].layerNorm(weight: $0[1], bias: $0[2]) },
        "crossEntropy": { try $0[0].crossEntropy(labels) },
        "crossEntropySmoothed": { try $0[0].crossEntropy(labels, labelSmoothing: 0.1) },
        "crossEntropyWeighted": { try $0[0].crossEntropy(labels, classWeights: weights) },
        "crossEntropyBoth": { try $0[0].crossEntropy(labels, classWeights: weights, labelSmoothing: 0.2) },
        "bce": { try $0[0].binaryCrossEntropy(withTargets: targets) },
        "bceWeighted": { try $0[0].binaryCrossEntropy(withTargets: targets, positiveWeight: 2.5) },
        "mse": { try $0[0].meanSquaredError($0[1]) },
        "l1": { try $0[0].absoluteError($0[1]) },
        "huber": { try $0[0].huberError($0[1], delta: 0.7) },
        "embedding": { try $0[0].gatherRows(Tensor([0, 2, 2, 3] as [Int64], shape: [2, 2])) },
    ]
}
