internal import Basics
package import Interchange
internal import Foundation
internal import Tensors

/// Settings of post-training quantization.
package struct QuantizationOptions: Codable, Hashable, Sendable {
    package var calibration: CalibrationMethod
    /// Examples whose activations are measured.
    package var sampleCount: Int
    package var seed: UInt64

    package init(calibration: CalibrationMethod = .minmax, sampleCount: Int = 1024, seed: UInt64 = 0) {
        self.calibration = calibration
        self.sampleCount = sampleCount
        self.seed = seed
    }
}

/// How far one layer's integer output lies from its float output, on the calibration sample.
package struct LayerFidelity: Codable, Hashable, Sendable {
    package var index: Int
    package var type: String
    /// 10·log₁₀ of the float output's power over that of the difference; nil if there is no difference.
    package var sqnrDecibels: Double?
    package var largestError: Double
    package var meanError: Double
    package var scale: Double
    package var zeroPoint: Int

    private enum CodingKeys: String, CodingKey {
        case index, type, scale
        case sqnrDecibels = "sqnr_db"
        case largestError = "max_error"
        case meanError = "mean_error"
        case zeroPoint = "zero_point"
    }
}

/// Post-training quantization to 8 bits.
///
/// Weights: int8, symmetric, one scale per output. Activations: uint8, asymmetric, one scale per tensor, from a sample.
/// Biases: int32 with the product of both scales. Batch norms are folded before.
package enum Quantizer {
    /// The int8 form of `model`, and how far each layer is from its float form on `sample`.
    ///
    /// - Parameters:
    ///   - sample: examples as the network sees them, one after the other; `sampleCount` of them, at least 1.
    /// - Throws: kind `.usage` if the model is int8 already or has a layer without an integer form; kind `.failed` if an
    ///   activation is not finite.
    package static func quantize(
        _ model: ModelFile, path: String, sample: [Float], sampleCount: Int, calibration: CalibrationMethod
    ) throws -> (model: ModelFile, layers: [LayerFidelity]) {
        guard model.description.precision == .float32 else {
            throw MLOpsError(
                .usage, "`\(path)` is an int8 model already", hint: "quantize the float model that it was made from")
        }
        precondition(sampleCount > 0, "calibration needs examples")
        let network = try FoldedNetwork(model, path: path)
        try IntegerNetwork.requireForms(network.architecture, path: path)
        let activations = try calibrate(
            network, sample: sample, sampleCount: sampleCount, method: calibration, path: path)
        let tensors = try quantizedTensors(network, activations: activations)
        var description = model.description
        description.precision = .int8
        description.architecture = network.architecture
        let result = ModelFile(description: description, tensors: tensors)
        let integers = try IntegerNetwork(result, path: path)
        let layers = try fidelity(of: integers, to: network, sample: sample, sampleCount: sampleCount)
        return (result, layers)
    }

    /// Parameters of the input and of each layer's output.
    private static func calibrate(
        _ network: FoldedNetwork, sample: [Float], sampleCount: Int, method: CalibrationMethod, path: String
    ) throws -> [QuantizationParameters] {
        let layers = network.architecture.layers
        var observers = [RangeObserver](repeating: RangeObserver(), count: layers.count + 1)
        try eachBatch(sample, count: sampleCount, size: network.inputSize) { values, count in
            observers[0].widen(values)
            _ = try network.run(values, count: count) { observers[$0 + 1].widen($1) }
        }
        for (index, observer) in observers.enumerated() where !(observer.low.isFinite && observer.high.isFinite) {
            let place = index == 0 ? "the input" : "layer \(index - 1) (\(layers[index - 1].type))"
            throw MLOpsError(
                .failed, "\(place) of `\(path)` gives values that are not finite", hint: "train the model again")
        }
        if method != .minmax {
            try eachBatch(sample, count: sampleCount, size: network.inputSize) { values, count in
                observers[0].count(values)
                _ = try network.run(values, count: count) { observers[$0 + 1].count($1) }
            }
        }
        var parameters = observers.map { observer in
            let range = observer.range(method)
            return QuantizationParameters.asymmetric(
                low: range.lowerBound, high: range.upperBound, range: QuantizationParameters.activationRange)
        }
        for (index, layer) in layers.enumerated() {
            switch layer {
            // These move bytes without changing what they mean.
            case .maxPool2d, .avgPool2d, .flatten: parameters[index + 1] = parameters[index]
            // A product that carries out the ReLU behind it has the ReLU's output.
            case _ where IntegerNetwork.isFusedReLU(index + 1, in: network.architecture):
                parameters[index + 1] = parameters[index + 2]
            default: break
            }
        }
        return parameters
    }

    private static func quantizedTensors(
        _ network: FoldedNetwork, activations: [QuantizationParameters]
    ) throws -> [String: Tensor] {
        var tensors: [String: Tensor] = [
            "activation_scale": Tensor(activations.map(\.scale)),
            "activation_zero_point": Tensor(activations.map { UInt8($0.zero) }),
        ]
        for (index, layer) in network.architecture.layers.enumerated() {
            guard let shape = layer.weightShape, let weights = network.layers[index].weights else { continue }
            let quantized = quantizeWeights(weights.weight, outputs: shape[0])
            let bias = zip(weights.bias, quantized.scales).map { bias, scale in
                // Within ±2³⁰, so that the sum of any products and the bias fits 32 bits.
                let steps = (Double(bias) / (Double(activations[index].scale) * Double(scale))).rounded(
                    .toNearestOrEven)
                return Int32(min(max(steps, -0x1p30), 0x1p30))
            }
            tensors["\(index).weight"] = Tensor(quantized.values, shape: shape)
            tensors["\(index).weight_scale"] = Tensor(quantized.scales)
            tensors["\(index).bias"] = Tensor(bias)
        }
        return tensors
    }

    /// Rows of weights in −127...127, each row with its own scale.
    static func quantizeWeights(_ weights: [Float], outputs: Int) -> (values: [Int8], scales: [Float]) {
        let depth = weights.count / outputs
        var values: [Int8] = []
        values.reserveCapacity(weights.count)
        let scales = (0..<outputs).map { o in
            let row = weights[(o * depth)..<((o + 1) * depth)]
            let parameters = QuantizationParameters.symmetric(
                low: Double(row.min() ?? 0), high: Double(row.max() ?? 0), range: QuantizationParameters.weightRange)
            values += row.map { Int8(parameters.quantize($0, in: QuantizationParameters.weightRange)) }
            return parameters.scale
        }
        return (values, scales)
    }

    private static func fidelity(
        of integers: IntegerNetwork, to network: FoldedNetwork, sample: [Float], sampleCount: Int
    ) throws -> [LayerFidelity] {
        struct Sums {
            var signal = 0.0
            var noise = 0.0
            var largest = 0.0
            var absolute = 0.0
            var count = 0
        }
        let layers = network.architecture.layers
        var sums = [Sums](repeating: Sums(), count: layers.count)
        try eachBatch(sample, count: sampleCount, size: network.inputSize) { values, count in
            var floats: [[Float]] = []
            _ = try network.run(values, count: count) { floats.append($1) }
            _ = integers.run(values, count: count) { index, reals in
                // A fused product's bytes are the ReLU's.
                let isFused = IntegerNetwork.isFusedReLU(index + 1, in: network.architecture)
                for (real, float) in zip(reals, floats[isFused ? index + 1 : index]) {
                    let error = Double(real) - Double(float)
                    sums[index].signal += Double(float) * Double(float)
                    sums[index].noise += error * error
                    sums[index].largest = max(sums[index].largest, abs(error))
                    sums[index].absolute += abs(error)
                    sums[index].count += 1
                }
            }
        }
        return zip(layers, sums).enumerated().map { index, pair in
            let (layer, sums) = pair
            let ratio = sums.noise > 0 && sums.signal > 0 ? 10 * log10(sums.signal / sums.noise) : nil
            return LayerFidelity(
                index: index, type: layer.type, sqnrDecibels: ratio, largestError: sums.largest,
                meanError: sums.absolute / Double(max(sums.count, 1)),
                scale: Double(integers.activations[index + 1].scale), zeroPoint: integers.activations[index + 1].zero)
        }
    }

    /// `body` of parts of the sample small enough that all activations of one fit in memory.
    private static func eachBatch(
        _ sample: [Float], count: Int, size: Int, _ body: ([Float], Int) throws -> Void
    ) rethrows {
        for start in stride(from: 0, to: count, by: 128) {
            let end = min(start + 128, count)
            try body(Array(sample[(start * size)..<(end * size)]), end - start)
        }
    }
}
