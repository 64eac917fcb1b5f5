internal import Basics
internal import Datasets
package import Drawings
internal import Interchange
internal import NeuralNets
internal import Tensors

/// How one layer does on a batch.
package struct LayerHealth: Codable, Hashable, Sendable {
    /// As its tensors are named: `3.branch.0`.
    package var path: String
    package var kind: String
    package var mean: Double
    package var deviation: Double
    /// Of a layer that cuts off: the share of its units (channels of pictures) that are 0 for every example.
    package var deadShare: Double?
    /// Of a layer that levels off: the share of its values within 3 % of an end.
    package var saturatedShare: Double?
    /// Of a layer with a weight: the L2 norms of its gradient and of the weight itself.
    package var gradientNorm: Double?
    package var weightNorm: Double?

    private enum CodingKeys: String, CodingKey {
        case path, kind, mean, deviation
        case deadShare = "dead_share"
        case saturatedShare = "saturated_share"
        case gradientNorm = "gradient_norm"
        case weightNorm = "weight_norm"
    }
}

/// How the layers of a network do on one batch, in training mode but without dropout; nothing of the network changes.
package struct NetworkDiagnosis: Codable, Hashable, Sendable {
    /// After which epoch; 0 before the first.
    package var epoch: Int
    package var loss: Double
    package var layers: [LayerHealth]

    /// Runs `batch` through `network` forward and backward.
    static func measure(_ network: Sequential, _ batch: Batch, loss: Loss, epoch: Int) throws -> NetworkDiagnosis {
        let buffers = network.buffers().map { ($0.buffer, $0.buffer.value) }
        defer { for (buffer, value) in buffers { buffer.value = value } }
        network.setTraining(true)
        var layers: [LayerHealth] = []
        let output = try walk(network, "", batch.inputs) { path, module, output in
            layers.append(try health(path, module, output.detached))
        }
        let value = try loss(output, batch.targets)
        let parameters = network.parameters()
        let gradients = try grad(of: value, with: parameters.map(\.parameter.value), keepsGraph: false)
        for (entry, gradient) in zip(parameters, gradients) where entry.path.hasSuffix(".weight") {
            guard let index = layers.firstIndex(where: { "\($0.path).weight" == entry.path }),
                entry.parameter.value.rank > 1
            else { continue }
            layers[index].gradientNorm = try gradient.sumOfSquares().squareRoot()
            layers[index].weightNorm = try entry.parameter.value.detached.sumOfSquares().squareRoot()
        }
        return NetworkDiagnosis(epoch: epoch, loss: try value.item(), layers: layers)
    }

    /// Follows a batch through nested modules and shows the output of each that is no block.
    private static func walk(
        _ module: Module, _ path: String, _ x: Tensor, _ visit: (String, Module, Tensor) throws -> Void
    ) throws -> Tensor {
        func inside(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
        switch module {
        case let sequence as Sequential:
            return try sequence.children.reduce(x) { try walk($1.module, inside($1.name), $0, visit) }
        case let block as Residual:
            let branch = try walk(block.branch, inside("branch"), x, visit)
            let sum = try branch + (block.shortcut.map { try walk($0, inside("shortcut"), x, visit) } ?? x)
            return try block.activation.map { try walk($0, inside("activation"), sum, visit) } ?? sum
        case let block as DenseBlock:
            return try block.children.reduce(x) {
                try .concatenated([$0, walk($1.module, inside($1.name), $0, visit)], axis: 1)
            }
        case is Dropout: return x
        default:
            let output = try module(x)
            try visit(path, module, output)
            return output
        }
    }

    private static func health(_ path: String, _ module: Module, _ output: Tensor) throws -> LayerHealth {
        let ends: (low: Double, high: Double)? =
            switch module {
            case is ReLU6: (-.infinity, 5.82)
            case is Tanh: (-0.97, 0.97)
            case is Sigmoid: (0.03, 0.97)
            default: nil
            }
        let found = Diagnosis.describe(module, output, ends ?? (-.infinity, .infinity))
        var health = LayerHealth(path: path, kind: module.kind, mean: found.mean, deviation: found.deviation)
        if module is ReLU || module is ReLU6 {
            health.deadShare = Double(found.deadUnits) / Double(max(1, found.units))
        }
        if ends != nil { health.saturatedShare = found.saturatedShare }
        return health
    }
}

extension NetworkDiagnosis {
    /// What stands out, each in one sentence without a full stop; none for a healthy network.
    package var findings: [String] {
        var findings: [String] = []
        for layer in layers {
            if let share = layer.deadShare, share >= 0.2 {
                findings.append("`\(layer.path)` (\(layer.kind)): \(percent(share)) of the units are dead")
            }
            if let share = layer.saturatedShare, share >= 0.3 {
                findings.append("`\(layer.path)` (\(layer.kind)): \(percent(share)) of the values are saturated")
            }
        }
        let norms = layers.compactMap { layer in layer.gradientNorm.map { (layer.path, $0) } }
        if let first = norms.first, let last = norms.last, norms.count > 2 {
            if first.1 < last.1 * 1e-3 {
                findings.append(
                    "gradients vanish: \(Format.scientific(first.1)) at `\(first.0)`, "
                        + "\(Format.scientific(last.1)) at `\(last.0)`")
            } else if first.1 > last.1 * 1e3 {
                findings.append(
                    "gradients explode: \(Format.scientific(first.1)) at `\(first.0)`, "
                        + "\(Format.scientific(last.1)) at `\(last.0)`")
            }
        }
        return findings
    }

    /// Its worst numbers, for a stage's metrics: a gate can hold them to a bound.
    var summary: JSONValue {
        var summary: [String: JSONValue] = ["findings": .int(Int64(findings.count))]
        if let share = layers.compactMap(\.deadShare).max() { summary["dead_share"] = .double(share) }
        if let share = layers.compactMap(\.saturatedShare).max() { summary["saturated_share"] = .double(share) }
        let norms = layers.compactMap(\.gradientNorm)
        if let first = norms.first, let last = norms.last, last > 0 {
            summary["gradient_ratio"] = .double(first / last)
        }
        return .object(summary)
    }

    private func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }

    /// The norms of all layers' gradients before and after training, and the shares of dead and saturated units after it.
    package static func chart(_ records: [NetworkDiagnosis]) -> Chart? {
        guard let first = records.first, let last = records.last else { return nil }
        func norms(_ record: NetworkDiagnosis) -> [(x: Double, y: Double)] {
            record.layers.compactMap(\.gradientNorm).enumerated().map { (Double($0 + 1), $1) }
        }
        func shares(_ of: (LayerHealth) -> Double?) -> [(x: Double, y: Double)] {
            let values = last.layers.compactMap(of)
            let count = Double(max(1, last.layers.compactMap(\.gradientNorm).count))
            return values.enumerated().map { (Double($0 + 1) / Double(max(1, values.count)) * count, $1) }
        }
        var series = [Chart.Series(name: "gradient, before", points: norms(first))]
        if records.count > 1 { series.append(.init(name: "gradient, epoch \(last.epoch)", points: norms(last))) }
        let dead = shares(\.deadShare)
        let saturated = shares(\.saturatedShare)
        if !dead.isEmpty { series.append(.init(name: "dead units", points: dead, isOnRight: true)) }
        if !saturated.isEmpty { series.append(.init(name: "saturated values", points: saturated, isOnRight: true)) }
        return Chart(
            title: "gradients and units by layer", xTitle: "layer with a weight, from the input on",
            yTitle: "norm of the gradient", rightTitle: "share", series: series, isLogarithmic: true)
    }
}
