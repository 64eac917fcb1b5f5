internal import Basics
public import Tensors

/// What goes wrong inside a network while it trains: units that are dead or saturated, gradients that vanish or explode, updates
/// that are too small or too large. Given to `Trainer.fit` as a callback, it looks at every `interval`th step.
public final class Diagnosis: TrainingCallback {
    /// One activation's units in the last batch that was looked at. A unit is a channel (axis 1).
    public struct Activation: Sendable, Codable, Equatable {
        public var path: String
        public var kind: String
        public var units: Int
        /// Units that gave 0 for all of the batch: those of ReLU and its like, whose weights get no gradient then.
        public var deadUnits: Int
        /// The share of values where the slope is next to 0: beyond ±0.97 for tanh, below 0.03 or above 0.97 for the sigmoid.
        public var saturatedShare: Double
        public var mean: Double
        public var deviation: Double
    }

    /// One layer's parameters at one step.
    public struct LayerStep: Sendable, Codable, Equatable {
        public var path: String
        /// The L2 norm of the gradients, before clipping.
        public var gradientNorm: Double
        public var weightNorm: Double
        /// The L2 norm of the step over that of the values; about 1e-3 is healthy.
        public var updateRatio: Double
    }

    public struct Step: Sendable, Codable, Equatable {
        /// From 1.
        public var step: Int
        public var layers: [LayerStep]
    }

    public let interval: Int
    public private(set) var activations: [Activation] = []
    public private(set) var steps: [Step] = []
    /// Norms of the step that is being made, by layer, and the values before it.
    private var pending: [(path: String, gradientNorm: Double, parameters: [Parameter], before: [Tensor])] = []

    /// - Precondition: `interval` is positive.
    public init(every interval: Int = 1) {
        precondition(interval > 0, "every \(interval)th step cannot be looked at")
        self.interval = interval
    }

    public func gradientsAreReady(_ trainer: Trainer) throws {
        pending = []
        guard trainer.position.history.stepCount % interval == 0 else { return }
        for (path, module) in trainer.module.modules() {
            let parameters = module.ownParameters.map(\.parameter).filter { $0.gradient != nil && !$0.isFrozen }
            if parameters.isEmpty { continue }
            pending.append((path, gradientNorm(of: parameters), parameters, parameters.map(\.value.detached)))
        }
    }

    public func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) throws {
        guard !pending.isEmpty else { return }
        let layers = try withoutGradients {
            try pending.map { entry in
                let changes = try zip(entry.parameters, entry.before).map { try $0.value - $1 }
                let weight = Tensor.sumsOfSquares(entry.before).reduce(0, +).squareRoot()
                let change = Tensor.sumsOfSquares(changes).reduce(0, +).squareRoot()
                return LayerStep(
                    path: entry.path, gradientNorm: entry.gradientNorm, weightNorm: weight,
                    updateRatio: weight > 0 ? change / weight : 0)
            }
        }
        pending = []
        steps.append(Step(step: progress.totalSteps, layers: layers))
    }

    /// Looks at the activations of `module` for a batch, in inference mode.
    public func probe(_ module: Module, _ inputs: Tensor) throws {
        module.assignPaths()
        var found: [Activation] = []
        try module.inferring {
            try module.observing {
                guard $0.children.isEmpty, let range = Diagnosis.slopeless[$0.kind] else { return }
                found.append(Diagnosis.describe($0, $1, range))
            } during: {
                _ = try module(inputs)
            }
        }
        activations = found
    }

    /// Where the values of an activation have next to no slope: below the first, above the second.
    private static let slopeless: [String: (low: Double, high: Double)] = [
        "ReLU": (0, .infinity), "ReLU6": (0, 6), "LeakyReLU": (-.infinity, .infinity),
        "PReLU": (-.infinity, .infinity), "Tanh": (-0.97, 0.97), "Sigmoid": (0.03, 0.97), "HardSigmoid": (0, 1),
        "GELU": (-.infinity, .infinity), "SiLU": (-.infinity, .infinity), "ELU": (-0.97, .infinity),
        "SELU": (-1.7, .infinity), "Mish": (-.infinity, .infinity), "HardSwish": (-.infinity, .infinity),
    ]

    /// - Parameter range: values at its ends and beyond count as saturated.
    package static func describe(
        _ module: Module, _ output: Tensor, _ range: (low: Double, high: Double)
    ) -> Activation {
        let values = output.floats()
        let units = output.rank > 1 ? output.shape[1] : 1
        let inner = output.rank > 2 ? Array(output.shape[2...]).product : 1
        var isAlive = [Bool](repeating: false, count: units)
        var (saturated, sum, squares) = (0, 0.0, 0.0)
        for (index, value) in values.enumerated() {
            let x = Double(value)
            if x != 0 { isAlive[index / inner % units] = true }
            // Exactly at 0 a ReLU is off, and exactly at a bound the hard ones are flat.
            if x <= range.low || x >= range.high { saturated += 1 }
            sum += x
            squares += x * x
        }
        let count = Double(max(1, values.count))
        return Activation(
            path: module.path, kind: module.kind, units: units, deadUnits: isAlive.count { !$0 },
            saturatedShare: Double(saturated) / count, mean: sum / count,
            deviation: max(0, squares / count - sum / count * (sum / count)).squareRoot())
    }
}
