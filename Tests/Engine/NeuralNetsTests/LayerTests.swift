import Basics
import NeuralNets
import Tensors
import Testing

/// Outputs and gradients of PyTorch's layers, made by Tests/Fixtures/neuralnets/make_layers.py.
struct LayerFixture: Decodable {
    struct Case: Decodable {
        var x: Fixtures.Values
        var y: Fixtures.Values
        var upstream: Fixtures.Values
        var xGradient: Fixtures.Values
        var parameters: [String: Fixtures.Values]
        var gradients: [String: Fixtures.Values]
    }
    var cases: [String: Case]
}

@Suite struct LayerTests {
    private static let makers: [String: @Sendable (inout Philox, DType) -> Module] = [
        "linear": { Linear(8, 3, dtype: $1, using: &$0) },
        "linearWithoutBias": { Linear(8, 3, hasBias: false, dtype: $1, using: &$0) },
        "conv": { Conv2d(4, 6, kernel: 3, stride: 2, padding: 1, dtype: $1, using: &$0) },
        "convDepthwise": {
            Conv2d(4, 8, kernel: 3, padding: 2, dilation: 2, groups: 4, hasBias: false, dtype: $1, using: &$0)
        },
        "transposed": { ConvTranspose2d(4, 3, kernel: 3, dtype: $1, using: &$0) },
        "transposedStride": {
            ConvTranspose2d(4, 6, kernel: 3, stride: 2, padding: 1, outputPadding: 1, dtype: $1, using: &$0)
        },
        "transposedGroups": {
            ConvTranspose2d(4, 6, kernel: 4, stride: 2, padding: 1, groups: 2, hasBias: false, dtype: $1, using: &$0)
        },
        "transposedDilated": {
            ConvTranspose2d(
                4, 2, kernel: 3, stride: 2, padding: 2, outputPadding: 1, dilation: 2, dtype: $1, using: &$0)
        },
        "maxPool": { _, _ in MaxPool2d(kernel: 3, stride: 2, padding: 1) },
        "avgPool": { _, _ in AvgPool2d(kernel: 2) },
        "globalAvgPool": { _, _ in GlobalAvgPool2d() },
        "adaptiveAvgPool": { _, _ in AdaptiveAvgPool2d(3, 4) },
        "adaptiveAvgPoolEven": { _, _ in AdaptiveAvgPool2d(2, 2) },
        "batchNorm": { _, dtype in BatchNorm2d(channels: 4, dtype: dtype) },
        "layerNorm": { _, dtype in LayerNorm(8, dtype: dtype) },
        "groupNorm": { _, dtype in GroupNorm(groups: 2, channels: 4, dtype: dtype) },
        "groupNormRows": { _, dtype in GroupNorm(groups: 2, channels: 8, isAffine: false, dtype: dtype) },
        "instanceNorm": { _, _ in InstanceNorm2d(channels: 4) },
        "instanceNormAffine": { _, dtype in InstanceNorm2d(channels: 4, isAffine: true, dtype: dtype) },
        "rmsNorm": { _, dtype in RMSNorm(8, dtype: dtype) },
        "rmsNormEpsilon": { _, dtype in RMSNorm(8, epsilon: 0.1, dtype: dtype) },
        "relu": { _, _ in ReLU() },
        "relu6": { _, _ in ReLU6() },
        "leakyReLU": { _, _ in LeakyReLU(slope: 0.2) },
        "prelu": { _, dtype in PReLU(dtype: dtype) },
        "preluChannels": { _, dtype in PReLU(channels: 4, dtype: dtype) },
        "elu": { _, _ in ELU() },
        "eluScaled": { _, _ in ELU(scale: 0.7) },
        "selu": { _, _ in SELU() },
        "silu": { _, _ in SiLU() },
        "hardSwish": { _, _ in HardSwish() },
        "hardSigmoid": { _, _ in HardSigmoid() },
        "gelu": { _, _ in GELU() },
        "geluTanh": { _, _ in GELU(.tanh) },
        "tanh": { _, _ in Tanh() },
        "sigmoid": { _, _ in Sigmoid() },
        "softplus": { _, _ in Softplus() },
        "softplusSharp": { _, _ in Softplus(sharpness: 3) },
        "softmax": { _, _ in Softmax() },
        "logSoftmax": { _, _ in LogSoftmax(axis: 1) },
        "mish": { _, _ in Mish() },
        "upsample": { _, _ in Upsample(factor: 2) },
        "flatten": { _, _ in Flatten() },
        "identity": { _, _ in Identity() },
        "residual": { generator, dtype in
            Residual(
                Sequential([
                    Conv2d(4, 6, kernel: 3, padding: 1, dtype: dtype, using: &generator), Tanh(),
                    Conv2d(6, 6, kernel: 1, dtype: dtype, using: &generator),
                ]), shortcut: Conv2d(4, 6, kernel: 1, dtype: dtype, using: &generator), activation: ReLU())
        },
        "denseBlock": { generator, dtype in
            DenseBlock([
                Conv2d(4, 3, kernel: 3, padding: 1, dtype: dtype, using: &generator),
                Conv2d(7, 3, kernel: 3, padding: 1, dtype: dtype, using: &generator),
            ])
        },
        "embedding": { Embedding(5, width: 3, paddingIndex: 2, dtype: $1, using: &$0) },
    ]

    @Test func everyLayerGivesTheValuesAndGradientsOfPyTorch() throws {
        let fixture: LayerFixture = try Fixtures.load("layers.json")
        #expect(Set(fixture.cases.keys) == Set(LayerTests.makers.keys))
        for (name, expected) in fixture.cases.sorted(by: { $0.key < $1.key }) {
            var generator = Philox(seed: 1)
            let make = try #require(LayerTests.makers[name])
            let module = make(&generator, .f32)
            try module.load(expected.parameters.mapValues(\.tensor), strict: false)
            let parameters = module.parameters()
            #expect(Set(parameters.map(\.path)) == Set(expected.parameters.keys), "\(name)")
            let isIndex = name == "embedding"
            let x = isIndex ? try expected.x.tensor.cast(to: .i64) : try expected.x.tensor.requiringGradient()
            let y = try module(x)
            #expect(Fixtures.relativeDifference(y, expected.y.tensor) <= 1e-5, "output of \(name)")
            let targets = (isIndex ? [] : [x]) + parameters.map(\.parameter.value)
            let gradients = try grad(of: y, with: targets, seed: expected.upstream.tensor)
            let wanted =
                try (isIndex ? [] : [expected.xGradient])
                + parameters.map { try #require(expected.gradients[$0.path]) }
            let paths = (isIndex ? [] : ["its input"]) + parameters.map(\.path)
            for ((path, gradient), one) in zip(zip(paths, gradients), wanted) {
                #expect(
                    Fixtures.relativeDifference(gradient, one.tensor) <= 1e-5, "gradient of \(name) for \(path)")
            }
        }
    }

    @Test func theGradientOfEveryLayerIsTheSlope() throws {
        let fixture: LayerFixture = try Fixtures.load("layers.json")
        for (name, make) in LayerTests.makers.sorted(by: { $0.key < $1.key }) where name != "embedding" {
            let expected = try #require(fixture.cases[name])
            var generator = Philox(seed: 2)
            // Away from the kinks, which the fixture hits on purpose.
            let x = try expected.x.tensor.cast(to: .f64).shifted(by: 0.0137)
            try GradientCheck.compare(name, make(&generator, .f64), at: x)
        }
    }

    @Test func dropConnectDropsWeightsInTrainingOnly() throws {
        var generator = Philox(seed: 1)
        let layer = DropConnect(
            50, 40, probability: 0.25, hasBias: false, initializer: .ones, using: &generator)
        let unit = Tensor.identity(50)
        layer.seedRandomness(5)
        let first = try layer(unit)
        #expect(abs(first.floats().count { $0 != 0 } - 1500) < 100)
        #expect(first.floats().allSatisfy { $0 == 0 || abs($0 - 4 / 3) < 1e-6 })
        #expect(try !layer(unit).isIdentical(to: first))
        layer.seedRandomness(5)
        #expect(try layer(unit).isIdentical(to: first))
        #expect(try layer.inferring { try layer(unit) }.floats().allSatisfy { $0 == 1 })
        // A weight that dropped gets no gradient.
        layer.seedRandomness(5)
        let gradient = try grad(of: layer(unit).sum(), with: [layer.weight.value])[0]
        #expect(try gradient.transposed().isIdentical(to: first))
    }

    @Test func aPaddingRowStartsAsZerosAndStays() throws {
        var generator = Philox(seed: 1)
        let table = Embedding(4, width: 2, paddingIndex: 1, using: &generator)
        let before = table.weight.value.floats()
        #expect(before[2] == 0 && before[3] == 0 && before[0] != 0)
        let loss = try table(Tensor([0, 1, 3] as [Int64])).shifted(by: 1).square().sum()
        table.weight.gradient = try grad(of: loss, with: [table.weight.value])[0]
        try SGD([table.weight], learningRate: 0.1).step()
        let after = table.weight.value.floats()
        #expect(after[2...5] == before[2...5])
        #expect(after[0] != before[0] && after[7] != before[7])
    }

    @Test func wrongShapesNameLayerAndShapes() throws {
        var generator = Philox(seed: 1)
        let layers: [(Module, [Int], String)] = [
            (ConvTranspose2d(4, 2, kernel: 3, using: &generator), [1, 3, 5, 5], "[1, 3, 5, 5] and [4, 2, 3, 3]"),
            (
                ConvTranspose2d(1, 1, kernel: 3, outputPadding: 1, using: &generator), [1, 1, 5, 5],
                "output padding 1 is not smaller"
            ),
            (GroupNorm(groups: 2, channels: 4), [2, 6], "GroupNorm of 4 channels"),
            (PReLU(channels: 3), [2, 4], "[2, 4] and [3]"),
            (Upsample(factor: 2), [2, 3], "[2, 3] has 2 axes"),
            (AdaptiveAvgPool2d(2, 2), [2, 3], "[2, 3] is not that of images"),
        ]
        for (layer, shape, part) in layers {
            let network = Sequential(named: [("part", layer)])
            network.assignPaths()
            let error = #expect(throws: MLOpsError.self) { try network(.zeros(shape)) }
            let message = error?.message ?? ""
            #expect(message.hasPrefix("layer `part`") && message.contains(part), "\(message)")
        }
    }
}
