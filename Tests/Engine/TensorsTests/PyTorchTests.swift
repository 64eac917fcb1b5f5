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

    static func load(_ name: String) throws -> OperationFixture {
        let folder = String(#filePath.prefix(upTo: #filePath.range(of: "/Engine/")))
        let path = folder + "/Fixtures/tensors/\(name).json"
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
        try check(OperationFixture.load("operations"), PyTorchTests.functions)
    }

    @Test func viewsIndicesAndReductionsGiveTheValuesAndGradientsOfPyTorch() throws {
        try check(OperationFixture.load("views"), PyTorchTests.views)
    }

    private func check(
        _ fixture: OperationFixture, _ functions: [String: @Sendable ([Tensor]) throws -> Tensor]
    ) throws {
        #expect(Set(fixture.cases.keys) == Set(functions.keys))
        for (name, function) in functions {
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

    private static let index = Tensor([0, 2, 1, 0, 3, 3, 0, 1] as [Int64], shape: [2, 4])
    private static let mask = Tensor(
        [true, false, true, true, false, false, true, true, false, false, true, true, false, false, true],
        shape: [3, 5])

    private static let views: [String: @Sendable ([Tensor]) throws -> Tensor] = [
        "strided": {
            try $0[0].permuted([2, 0, 1]).slice(axis: 1, 1..<3).slice(axis: 2, 0..<4, step: 2) * 2
        },
        "unfold": { try $0[0].windows(axis: 1, size: 3, step: 2) },
        "channelsLast": { try ($0[0].channelsLast() * $0[1]).gelu() },
        "expand": { try $0[0].broadcast(to: [2, 3, 4]).exp() },
        "where": { try Tensor.where(mask, $0[0], $0[1]) },
        "maskedFill": { try $0[0].maskedFill(mask, -3) },
        "maskedSelect": { try $0[0].maskedSelect(mask) },
        "clamp": { try $0[0].clamped(-0.5, 0.7) },
        "powerOfTensors": { try ($0[0].abs() + 0.1).power($0[1]) },
        "log1p": { try $0[0].square().log1p() },
        "expm1": { try $0[0].expm1() },
        "gather": { try $0[0].gather(axis: 0, index) },
        "scatterAdd": { try $0[0].scatterAdd(axis: 0, index, $0[1]) },
        "scatter": { try $0[0].scatter(axis: 0, index, $0[1]) },
        "indexSelect": { try $0[0].indexSelect(axis: 1, Tensor([3, 0, 3, 1] as [Int64])) },
        "sort": { try $0[0].sorted(axis: 1, descending: true).values },
        "topK": { try $0[0].topK(3, axis: 0).values },
        "cumulativeSum": { try $0[0].cumulativeSum(axis: 1) },
        "cumulativeProduct": { try $0[0].cumulativeProduct(axis: 0) },
        "cumulativeProductOfZeros": { try $0[0].cumulativeProduct(axis: 1) },
        "product": { try $0[0].product(axes: [1]) },
        "productOfZeros": { try $0[0].product(axes: [1]) },
        "maxOfAxis": { try $0[0].max(axis: 1) },
        "minOfAxis": { try $0[0].min(axis: 0) },
        "standardDeviation": { try $0[0].standardDeviation(axes: [0, 2], correction: 1) },
        "norm2": { try $0[0].norm(axes: [0, 2]) },
        "norm3": { try $0[0].norm(3, axes: [1]) },
        "norm1": { try $0[0].norm(1) },
        "logSumExp": { try $0[0].logSumExp(axes: [0, 1]) },
        "padConstant": { try $0[0].padded([(0, 3), (1, 2)], mode: .constant(0.5)) },
        "padReflect": { try $0[0].padded([(1, 2), (2, 1)], mode: .reflect) },
        "padReplicate": { try $0[0].padded([(1, 0), (2, 3)], mode: .replicate) },
        "padCircular": { try $0[0].padded([(1, 0), (2, 3)], mode: .circular) },
        "flip": { try $0[0].flipped(axes: [0, 2]) },
        "roll": { try $0[0].rolled(by: -3, axis: 1) },
        "triu": { try $0[0].upperTriangle(offset: 1) },
        "tril": { try $0[0].lowerTriangle(offset: -1) },
        "diagonal": { try $0[0].diagonal(offset: 1, 0, 2) },
        "trace": { try $0[0].trace() },
        "diagonalMatrix": { try $0[0].asDiagonal() },
        "outer": { try $0[0].outer($0[1]) },
        "tile": { try $0[0].tiled([2, 1, 3]) },
        "repeat": { try $0[0].repeated(3, axis: 1) },
        "einsumHeads": { try Tensor.einsum("bqhd,bkhd->bhqk", $0) },
        "einsumThree": { try Tensor.einsum("ij,jk,k->i", $0) },
        "einsumEllipsis": { try Tensor.einsum("...ij,...jk->...ik", $0) },
        "einsumDiagonal": { try Tensor.einsum("iji->j", $0) },
        "einsumImplicit": { try Tensor.einsum("ba,ca", $0) },
        "einsumSum": { try Tensor.einsum("ij,kl->", $0) },
        "einsumDot": { try Tensor.einsum("bi,bi->b", $0) },
    ]
}
