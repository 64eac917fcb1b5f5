import Basics
import NeuralNets
import Tensors
import Testing

/// Writes down what it is told.
private final class Diary: TrainingCallback {
    private(set) var entries: [String] = []
    private(set) var steps: [TrainingProgress] = []
    func trainingWillBegin(_ trainer: Trainer) { entries.append("begin") }
    func epochWillBegin(_ epoch: Int, _ trainer: Trainer) { entries.append("epoch \(epoch)") }
    func gradientsAreReady(_ trainer: Trainer) {
        let hasAll = trainer.optimizer.parameters.allSatisfy { $0.gradient != nil }
        entries.append(hasAll ? "gradients" : "a gradient is missing")
    }
    func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) {
        entries.append("step \(progress.totalSteps)")
        steps.append(progress)
    }
    func epochDidEnd(_ record: TrainingHistory.Epoch, _ trainer: Trainer) { entries.append("end \(record.epoch)") }
    func trainingDidEnd(_ history: TrainingHistory, _ trainer: Trainer) { entries.append("done") }
}

@Suite(.serialized) struct TrainerTests {
    private let source: TensorSource

    init() throws {
        var generator = Philox(seed: 1)
        let inputs = Tensor.normal([48, 5], using: &generator)
        let weights = Tensor.normal([5, 2], using: &generator)
        source = try TensorSource(inputs: inputs, targets: inputs.matmul(weights).tanh())
    }

    private func network() -> Sequential {
        var generator = Philox(seed: 2)
        return Sequential(named: [
            ("body", Linear(5, 8, using: &generator)), ("act", Tanh()), ("head", Linear(8, 2, using: &generator)),
        ])
    }

    private func trainer(
        _ module: Module, rate: Double = 0.1, _ change: (inout TrainerConfiguration) -> Void = { _ in }
    ) throws -> Trainer {
        var configuration = TrainerConfiguration(epochs: 2, batchSize: 16, seed: 3)
        change(&configuration)
        return try Trainer(
            module, optimizer: SGD(module.parameters().map(\.parameter), learningRate: rate, momentum: 0.9),
            loss: .meanSquaredError, configuration: configuration)
    }

    @Test func callbacksAreToldOfEveryMomentInOrder() throws {
        let diary = Diary()
        _ = try trainer(network()) { $0.clipNorm = 0.01 }.fit(source, callbacks: [diary])
        let steps = (0..<2).map { epoch in (1...3).flatMap { ["gradients", "step \($0 + 3 * epoch)"] } }
        #expect(
            diary.entries == ["begin", "epoch 1"] + steps[0] + ["end 1", "epoch 2"] + steps[1] + ["end 2", "done"])
        let last = try #require(diary.steps.last)
        #expect(last.examplesPerSecond > 0 && last.secondsLeft == 0 && last.learningRate == 0.1)
        #expect(diary.steps[0].secondsLeft ?? 0 > 0)
        #expect(diary.steps[0].loss == diary.steps[0].stepLoss)
        #expect(last.gradientNorm ?? 0 > 0.01)
    }

    @Test func piecesOfABatchGiveTheStepOfTheWhole() throws {
        let (whole, pieces) = (network(), network())
        let first = try trainer(whole).fit(source)
        let second = try trainer(pieces) { $0.microBatchSize = 5 }.fit(source)
        for (path, value) in whole.state() {
            #expect(Fixtures.difference(try #require(pieces.state()[path]), value) < 1e-6, "\(path)")
        }
        #expect(abs(first.epochs[1].loss / second.epochs[1].loss - 1) < 1e-6)
    }

    @Test func theAverageFollowsTheWeights() throws {
        let module = network()
        let path = "head.weight"
        let weight = try #require(module.parameters().first { $0.path == path }).parameter
        final class Watch: TrainingCallback {
            let weight: Parameter
            var values: [Tensor] = []
            init(_ weight: Parameter) { self.weight = weight }
            func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) { values.append(weight.value.detached) }
        }
        let watch = Watch(weight)
        _ = try trainer(module) {
            $0.averageDecay = 0.75
            $0.restoresBest = false
        }.fit(source, callbacks: [watch])
        var expected = watch.values[0]
        for value in watch.values.dropFirst() { expected = try expected * 0.75 + value * 0.25 }
        #expect(Fixtures.difference(weight.value, expected) < 1e-6)
        #expect(Fixtures.difference(weight.value, watch.values[5]) > 1e-4)
    }

    @Test func aScaledLossGivesTheSameStepAndAnOverflowGivesNone() throws {
        let (plain, scaled) = (network(), network())
        _ = try trainer(plain).fit(source)
        let second = try trainer(scaled)
        second.scaler = try GradientScaler(scale: 1024)
        _ = try second.fit(source)
        for (path, value) in plain.state() {
            #expect(Fixtures.difference(try #require(scaled.state()[path]), value) < 1e-6, "\(path)")
        }
        let still = network()
        let start = still.state()
        let third = try trainer(still) { $0.autocast = .f16 }
        third.scaler = try GradientScaler(scale: 1e30)
        _ = try third.fit(source)
        #expect(third.scaler?.scale == 1e30 / 64)
        #expect(start.allSatisfy { still.state()[$0]?.isIdentical(to: $1) == true })
    }

    @Test func halfPrecisionWithAScalerTrainsAndTheScaleAdapts() throws {
        for type in [DType.f16, .bf16] {
            let one = try trainer(network()) {
                $0.autocast = type
                $0.epochs = 16
            }
            one.scaler = try GradientScaler(scale: 1e8, interval: 4)
            let history = try one.fit(source)
            #expect(history.epochs[15].loss < 0.7 * history.epochs[0].loss, "\(type)")
            // Halved while 1e8 times a gradient is beyond f16's 65504, and doubled after each four good steps.
            let scale = try #require(one.scaler?.scale)
            #expect(type == .f16 ? scale < 1e8 : scale == 1e8 * 4096)
        }
        #expect(throws: MLOpsError.self) { try trainer(network()) { $0.autocast = .f64 } }
    }

    @Test func aPlateauLowersTheRateFromEpochToEpoch() throws {
        let module = network()
        let history = try trainer(module, rate: 0) {
            $0.epochs = 4
            $0.plateau = PlateauSchedule(factor: 0.5, patience: 0)
        }.fit(source)
        // A rate of 0 changes nothing, so no epoch is better than the first but by rounding.
        #expect(history.epochs.count == 4)
        let rates = try trainer(network(), rate: 1e-9) {
            $0.epochs = 4
            $0.plateau = PlateauSchedule(factor: 0.5, patience: 0)
        }.fit(source).epochs.map(\.learningRate)
        #expect(rates == [1e-9, 1e-9, 5e-10, 2.5e-10])
    }

    @Test func frozenPartsStayAndWrongPatternsAreRefused() throws {
        let module = network()
        let start = module.state()
        #expect(try module.setFrozen(true, matching: ["body"]) == 2)
        _ = try trainer(module).fit(source)
        #expect(module.state()["body.weight"]?.isIdentical(to: try #require(start["body.weight"])) == true)
        #expect(module.state()["head.weight"]?.isIdentical(to: try #require(start["head.weight"])) == false)
        #expect(try module.setFrozen(false, matching: ["*.weight"]) == 2)
        #expect(module.parameters().filter { $0.parameter.isFrozen }.map(\.path) == ["body.bias"])
        let error = #expect(throws: MLOpsError.self) { try module.setFrozen(true, matching: ["bod"]) }
        #expect(error?.message == "no parameter's path fits `bod`")
        #expect(error?.hint?.contains("`body.weight`, `body.bias`") == true)
    }

    @Test func groupsGiveEarlyLayersLowerRatesAndVectorsNoDecay() throws {
        let groups = try network().parameterGroups(
            decaysVectors: false, layerDecay: 0.5, rateFactors: [("head.bias", 3)])
        let found = groups.map { ($0.parameters.map(\.value.shape), $0.rateFactor, $0.weightDecay) }
        #expect(found.map(\.0) == [[[8, 5]], [[8]], [[2, 8]], [[2]]])
        #expect(found.map(\.1) == [0.5, 0.5, 1, 3])
        #expect(found.map(\.2) == [nil, 0, nil, 0])
        let plain = try network().parameterGroups()
        #expect(plain.count == 1 && plain[0].parameters.count == 4)
        #expect(throws: MLOpsError.self) { try network().parameterGroups(rateFactors: [("tail", 1)]) }
    }

    @Test func aPartOfAStateMovesToAnotherNetwork() throws {
        var generator = Philox(seed: 8)
        let other = Sequential(named: [
            ("encoder", Sequential([Linear(5, 8, using: &generator)])), ("top", Linear(8, 9, using: &generator)),
        ])
        let state = network().state()
        let top = try #require(other.state()["top.weight"])
        #expect(try other.loadPart(of: state, from: "body", to: "encoder.0") == ["encoder.0.bias", "encoder.0.weight"])
        #expect(other.state()["encoder.0.weight"]?.isIdentical(to: try #require(state["body.weight"])) == true)
        #expect(other.state()["top.weight"]?.isIdentical(to: top) == true)
        let shape = #expect(throws: MLOpsError.self) { try other.loadPart(of: state, from: "head", to: "top") }
        #expect(shape?.message.contains("`top.weight` has shape [2, 8], expected [9, 8]") == true)
        let place = #expect(throws: MLOpsError.self) { try other.loadPart(of: state, except: ["body"]) }
        #expect(place?.message.contains("no place for 2 entries of the state: `head.bias`, `head.weight`") == true)
        let nothing = #expect(throws: MLOpsError.self) { try other.loadPart(of: state, from: "tail") }
        #expect(nothing?.hint == "its entries start with `body`, `head`")
    }

    @Test func theLearningRateFinderFindsWhereTheLossFallsAndPutsAllBack() throws {
        let module = network()
        let one = try trainer(module)
        let start = module.state()
        let curve = try one.findLearningRate(source, from: 1e-5, to: 100, steps: 60)
        #expect(curve.hasDiverged)
        #expect(curve.points.count > 30)
        #expect(abs(curve.points[1].learningRate / curve.points[0].learningRate - 1.3141472) < 1e-6)
        #expect((1e-3...1).contains(curve.suggestion), "\(curve.suggestion)")
        #expect(curve.largest < 1)
        #expect(one.optimizer.learningRate == 0.1)
        #expect(start.allSatisfy { module.state()[$0]?.isIdentical(to: $1) == true })
        // Training with what it suggests works.
        one.optimizer.learningRate = curve.suggestion
        let history = try one.fit(source)
        #expect(history.epochs[1].loss < history.epochs[0].loss)
        #expect(throws: MLOpsError.self) { try one.findLearningRate(source, from: 1, to: 0.1) }
    }

    @Test func gradientsThatAreNotFiniteNameTheirParameters() throws {
        let module = network()
        let diary = Poison(try #require(module.parameters().first { $0.path == "head.weight" }).parameter)
        let error = #expect(throws: MLOpsError.self) {
            try trainer(module) { $0.clipNorm = 1 }.fit(source, callbacks: [diary])
        }
        #expect(error?.message.hasSuffix("not finite are those of `head.weight`") == true, "\(error?.message ?? "")")
    }

    private final class Poison: TrainingCallback {
        private let parameter: Parameter
        init(_ parameter: Parameter) { self.parameter = parameter }
        func gradientsAreReady(_ trainer: Trainer) {
            parameter.gradient = .full(.infinity, parameter.value.shape)
        }
    }

    @Test func everyParameterOfEveryContainerGetsAGradient() throws {
        var generator = Philox(seed: 4)
        // No bias before a norm, which takes it away again.
        let module = Sequential([
            Conv2d(2, 4, kernel: 3, padding: 1, hasBias: false, using: &generator), BatchNorm2d(channels: 4),
            PReLU(channels: 4),
            Residual(
                Sequential([
                    Conv2d(4, 6, kernel: 3, padding: 1, hasBias: false, using: &generator),
                    GroupNorm(groups: 3, channels: 6),
                    SiLU(), ConvTranspose2d(6, 6, kernel: 3, padding: 1, using: &generator),
                ]), shortcut: Conv2d(4, 6, kernel: 1, using: &generator), activation: HardSwish()),
            DenseBlock([
                Conv2d(6, 2, kernel: 3, padding: 1, hasBias: false, using: &generator),
                Conv2d(8, 2, kernel: 3, padding: 1, hasBias: false, using: &generator),
            ]), InstanceNorm2d(channels: 10, isAffine: true), GELU(), AdaptiveAvgPool2d(2, 2), Flatten(),
            DropConnect(40, 12, probability: 0.2, using: &generator), RMSNorm(12), Mish(), LayerNorm(12),
            Linear(12, 3, using: &generator),
        ])
        let x = Tensor.normal([6, 2, 5, 5], using: &generator)
        let loss = try Loss.crossEntropy()(module(x), Tensor([0, 1, 2, 0, 1, 2] as [Int64]))
        let parameters = module.parameters()
        #expect(parameters.count == 22)
        let gradients = try grad(of: loss, with: parameters.map(\.parameter.value))
        for ((path, _), gradient) in zip(parameters, gradients) {
            #expect(gradient.isFinite && gradient.floats().contains { $0 != 0 }, "\(path)")
        }
    }

    @Test func tenThousandStepsGrowMemoryByNothing() throws {
        let module = network()
        var configuration = TrainerConfiguration(epochs: 3340, batchSize: 16, seed: 3)
        configuration.clipNorm = 1
        configuration.averageDecay = 0.99
        let one = try Trainer(
            module, optimizer: AdamW(module.parameters().map(\.parameter)), loss: .meanSquaredError,
            configuration: configuration)
        final class Scale: TrainingCallback {
            var balances: [Int: Int] = [:]
            func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) {
                if progress.totalSteps == 20 || progress.totalSteps == 10_020 {
                    balances[progress.totalSteps] = EngineMemory.balanceOfThread
                }
            }
        }
        let scale = Scale()
        _ = try one.fit(source, callbacks: [scale])
        #expect(scale.balances.count == 2)
        #expect(scale.balances[20] == scale.balances[10_020])
    }
}
