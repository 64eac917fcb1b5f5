import Basics
import Foundation
import Glibc
import Interchange
import ModelZoo
import NeuralNets
import Tensors

/// One workload of `Benchmarks/engine` on our engine, as its users write it: `engine-bench WORKLOAD STEPS THREADS` prints one line
/// when the first step is done and one with the time of each step after that, as `support/torch_peer.py` does for PyTorch.
@main
struct EngineBench {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count == 4, let steps = Int(words[2]), let threads = Int(words[3]) else {
            throw MLOpsError(.usage, "usage: engine-bench WORKLOAD STEPS THREADS")
        }
        EngineThreads.count = threads
        let step = try workload(words[1])
        var times: [Double] = []
        for index in 0...steps {
            let start = ContinuousClock.now
            try step()
            times.append((ContinuousClock.now - start).seconds * 1e3)
            if index == 0 {
                print("{\"workload\": \"\(words[1])\"}")
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
        case "resnet20":
            return classification(try Networks.resnet20().makeNetwork(using: &random), .uniform([128, 3, 32, 32], using: &random), labels(128), momentum: true)
        case "mobilenet":
            return classification(try Networks.mobilenet(0.5, side: 32, classes: 10).makeNetwork(using: &random), .uniform([64, 3, 32, 32], using: &random), labels(64), momentum: true)
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
        for (parameter, gradient) in zip(parameters, try grad(of: loss(), with: parameters.map(\.value))) {
            parameter.gradient = gradient
        }
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
