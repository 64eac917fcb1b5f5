import Basics
import Foundation
import Glibc
import Interchange
import ModelZoo
import NeuralNets
import Tensors

/// One workload of `Benchmarks/engine` on our engine. Each prints one line when its first step is done and one with the time of
/// each step after that, as `support/torch_peer.py` and `support/onnxruntime_peer.py` do:
///
///     engine-bench train WORKLOAD STEPS THREADS
///     engine-bench write NETWORK STEM             STEM.safetensors and STEM.onnx with weights of no meaning
///     engine-bench infer STEM BATCH COUNT THREADS
///     engine-bench steps STEM BATCH COUNT THREADS  a line for each call: median microseconds, GFLOP/s, layers
@main
struct EngineBench {
    static func main() throws {
        var words = CommandLine.arguments.dropFirst()
        let verb = words.popFirst()
        let names = Array(words)
        let numbers = names.dropFirst().compactMap { Int($0) }
        switch (verb, names.count, numbers.count) {
        case ("train", 3, 2):
            EngineThreads.count = numbers[1]
            let step = try workload(names[0])
            try measure(steps: numbers[0], step) { "{\"workload\": \"\(names[0])\"}" }
        case ("write", 2, 0): try InferenceBench.write(names[0], stem: names[1])
        case ("infer", 4, 3):
            EngineThreads.count = numbers[2]
            let run = try InferenceBench.workload(stem: names[0], batch: numbers[0])
            try measure(steps: numbers[1], run) { "{\"output\": \($0.prefix($0.count / numbers[0]))}" }
        case ("steps", 4, 3):
            EngineThreads.count = numbers[2]
            try InferenceBench.printSteps(stem: names[0], batch: numbers[0], count: numbers[1])
        default: throw MLOpsError(.usage, "what `engine-bench` does is said in its source")
        }
    }

    /// - Parameter line: what to print of the first step.
    private static func measure<Output>(
        steps: Int, _ step: () throws -> Output, line: (Output) -> String
    ) throws {
        var times: [Double] = []
        for index in 0...steps {
            let start = ContinuousClock.now
            let output = try step()
            times.append((ContinuousClock.now - start).seconds * 1e3)
            if index == 0 {
                print(line(output))
                fflush(nil)
            }
        }
        // The first steps warm caches and allocators up.
        let counted = times.dropFirst(1 + steps / 5).map { String($0) }.joined(separator: ", ")
        print("{\"milliseconds\": [\(counted)], \"peak_mib\": \(peakMebibytes())}")
    }

    private static func peakMebibytes() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_maxrss) / 1024
    }

    /// One step of training.
    private static func workload(_ name: String) throws -> () throws -> Void {
        var random = Philox(seed: 1, stream: "bench")
        func labels(_ count: Int) -> Tensor { Tensor((0..<count).map { _ in Int64(random.next() % 10) }) }
        switch name {
        case "mlp":
            let network = Sequential([
                Linear(784, 256, using: &random), ReLU(), Linear(256, 128, using: &random), ReLU(),
                Linear(128, 10, using: &random),
            ])
            return classification(network, .uniform([128, 784], using: &random), labels(128))
        case "vae": return autoencoding(Tensor.uniform([128, 784], using: &random), &random)
        case "lenet": return try recipe("vision/lenet5", [1, 28, 28], labels(64), [:], &random)
        case "resnet20": return try recipe("vision/resnet20", [3, 32, 32], labels(128), [:], &random)
        case "mobilenet":
            return try recipe("vision/mobilenetv2", [3, 32, 32], labels(64), ["width": 0.5], &random)
        case "densenet40": return try recipe("vision/densenet40", [3, 32, 32], labels(64), [:], &random)
        default: throw MLOpsError(.usage, "there is no workload `\(name)`")
        }
    }

    private static func recipe(
        _ name: String, _ input: [Int], _ labels: Tensor, _ config: JSONValue, _ random: inout Philox
    ) throws -> () throws -> Void {
        let recipe = try Recipes.named(name)
        let settings = try HyperParameters(resolving: config, of: name, declared: recipe.hyperparameters)
        let architecture = try recipe.architecture(input: input, classes: 10, settings: settings)
        let network = try architecture.makeNetwork(using: &random)
        return classification(
            network, .uniform([labels.count] + input, using: &random), labels, momentum: name != "vision/lenet5")
    }

    private static func classification(
        _ network: Module, _ inputs: Tensor, _ labels: Tensor, momentum: Bool = false
    ) -> () throws -> Void {
        let parameters = network.parameters().map(\.parameter)
        let optimizer: any Optimizer =
            momentum ? SGD(parameters, learningRate: 0.1, momentum: 0.9) : Adam(parameters)
        return {
            try update(optimizer) { try network(inputs).crossEntropy(labels) }
        }
    }

    private static func update(_ optimizer: any Optimizer, _ loss: () throws -> Tensor) throws {
        let parameters = optimizer.parameters
        // The graph ends with this loop, so that the parameters can be changed in place.
        let gradients = try grad(of: loss(), with: parameters.map(\.value), keepsGraph: false)
        for (parameter, gradient) in zip(parameters, gradients) { parameter.gradient = gradient }
        try optimizer.step()
        optimizer.clearGradients()
    }

    /// A variational autoencoder 784-400-20 (Kingma & Welling, 2014).
    private static func autoencoding(_ inputs: Tensor, _ random: inout Philox) -> () throws -> Void {
        let encoder = Linear(784, 400, using: &random)
        let (mean, spread) = (Linear(400, 20, using: &random), Linear(400, 20, using: &random))
        let (decoder, picture) = (Linear(20, 400, using: &random), Linear(400, 784, using: &random))
        let optimizer = Adam([encoder, mean, spread, decoder, picture].flatMap { $0.parameters().map(\.parameter) })
        var noise = Philox(seed: 2, stream: "noise")
        return {
            try update(optimizer) {
                let hidden = try encoder(inputs).relu()
                let (mu, logVariance) = (try mean(hidden), try spread(hidden))
                let draws = Tensor.normal(mu.shape, using: &noise)
                let code = try mu + draws * logVariance.scaled(by: 0.5).exp()
                let reconstruction = try picture(decoder(code).relu())
                    .binaryCrossEntropy(withTargets: inputs, reduction: .sum)
                let divergence = try (1 + logVariance - mu.square() - logVariance.exp()).sum().scaled(by: -0.5)
                return try reconstruction + divergence
            }
        }
    }
}
