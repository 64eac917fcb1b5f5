import Basics
import Datasets
import Interchange
import NeuralNets
import TestSupport
import Tensors
import Testing

@testable import Inference

@Suite struct InferencePlanTests {
    /// What the layers one by one give in inference, batch norms and all.
    private func plain(_ model: ModelFile, _ features: [Float], count: Int) throws -> [Float] {
        var random = Philox(seed: 0)
        let network = try model.description.architecture.makeNetwork(using: &random)
        try network.load(model.tensors)
        network.setTraining(false)
        return try withoutGradients {
            try network(Tensor(features, shape: [count] + model.description.architecture.input)).floats()
        }
    }

    @Test(arguments: ExampleModel.architectures.map(\.name))
    func aPlanGivesWhatTheLayersGive(_ name: String) throws {
        let architecture = try #require(ExampleModel.architectures.first { $0.name == name }).1
        let model = try ExampleModel.make(
            architecture, input: .images(shape: [1], normalisation: .init(mean: 0, deviation: 1)), classes: 2)
        let plan = try InferencePlan(model, path: "m")
        for count in [1, 5] {
            var random = Philox(seed: 7)
            let features = Tensor.normal([count] + architecture.input, using: &random).floats()
            let expected = try plain(model, features, count: count)
            let found = try plan.run(features, count: count)
            #expect(found.count == expected.count)
            for (left, right) in zip(found, expected) { #expect(abs(left - right) <= 2e-5 * max(1, abs(right))) }
            #expect(try plan.run(features, count: count) == found)
        }
    }

    /// The plan keeps things for the sizes of batches that it saw, which several threads show it for the first time at once.
    @Test(arguments: ["pictures", "blocks"])
    func severalThreadsMayAskAtOnce(_ name: String) async throws {
        let architecture = try #require(ExampleModel.architectures.first { $0.name == name }).1
        let model = try ExampleModel.make(
            architecture, input: .images(shape: [1], normalisation: .init(mean: 0, deviation: 1)), classes: 2)
        let plan = try InferencePlan(model, path: "m")
        let batches = (1...12).map { count in
            var random = Philox(seed: UInt64(count))
            return Tensor.normal([count] + architecture.input, using: &random).floats()
        }
        let alone = try InferencePlan(model, path: "m")
        let expected = try batches.enumerated().map { try alone.run($1, count: $0 + 1) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for task in 0..<4 {
                group.addTask {
                    for index in batches.indices {
                        let index = (index + 3 * task) % batches.count
                        guard try plan.run(batches[index], count: index + 1) == expected[index] else { return false }
                    }
                    return true
                }
            }
            for try await isSame in group { #expect(isSame) }
        }
    }

    @Test func layersAreJoinedWhereOneCallCanDoThem() throws {
        let blocks = try #require(ExampleModel.architectures.first { $0.name == "blocks" }).1
        let model = try ExampleModel.make(
            blocks, input: .images(shape: [1], normalisation: .init(mean: 0, deviation: 1)), classes: 2)
        let plan = try InferencePlan(model, path: "m")
        let names = plan.steps.map(\.name)
        #expect(names[0] == "conv2d + batch_norm + relu6")
        // The bottleneck of the first block adds the block's input; the projection of the second adds its branch.
        #expect(names[3] == "conv2d + batch_norm + add")
        #expect(plan.steps[3].other == plan.steps[0].output)
        #expect(names[6] == "conv2d + batch_norm + add + relu")
        #expect(plan.steps[6].path == "4.shortcut.0 + 4.shortcut.1 + 4 + 5")
        #expect(names.contains("batch_norm + relu"))
        #expect(names.contains("add + relu6"))
        // Each value but the output is given back once.
        let released = plan.steps.flatMap(\.released)
        #expect(Set(released).count == released.count && released.count == plan.steps.count)
        #expect(plan.peakActivationCount < plan.network.shapes.reduce(0) { $0 + $1.product })
    }

    @Test func aRunGivesAllItsMemoryBack() throws {
        let architecture = ExampleModel.architectures[2].1
        let model = try ExampleModel.make(
            architecture, input: .images(shape: [1], normalisation: .init(mean: 0, deviation: 1)), classes: 2)
        let plan = try InferencePlan(model, path: "m")
        let features = [Float](repeating: 0.5, count: 360)
        _ = try plan.run(features, count: 1)
        let before = EngineMemory.now.liveBytes
        for _ in 0..<3 { _ = try plan.run(features, count: 1) }
        #expect(EngineMemory.now.liveBytes <= before)
    }

    @Test func everythingThatDoesNotFitIsNamedAtOnce() throws {
        let architecture = ExampleModel.architectures[0].1
        var model = try ExampleModel.make(
            architecture, input: .images(shape: [1], normalisation: .init(mean: 0, deviation: 1)), classes: 2)
        model.tensors["1.running_var"] = nil
        model.tensors["8.branch.0.weight"] = .zeros([1, 2])
        let error = try #require(throws: MLOpsError.self) { try InferencePlan(model, path: "m") }
        #expect(error.kind == .damaged)
        #expect(error.message.contains("`1.running_var` is missing"))
        #expect(error.message.contains("`8.branch.0.weight` is f32 [1, 2], expected f32 [12, 12]"))
    }
}
