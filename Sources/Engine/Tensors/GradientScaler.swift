internal import Basics

/// Dynamic scaling of the loss, so that small gradients do not vanish in f16 (Micikevicius et al., 2018): the loss is multiplied by
/// `scale`, and gradients are divided by it. Where one is not finite the step is left out and the scale falls.
public struct GradientScaler: Sendable, Hashable, Codable {
    /// What the loss is multiplied by now.
    public private(set) var scale: Double
    /// By what the scale rises after `interval` good steps, and falls after a bad one.
    public let growth: Double
    public let backoff: Double
    public let interval: Int
    /// Good steps since the scale changed.
    public private(set) var goodSteps = 0

    /// PyTorch's numbers unless told otherwise.
    ///
    /// - Throws: if a number is not in its range: scale > 0, growth > 1, backoff in 0 ..< 1, interval > 0.
    public init(scale: Double = 65536, growth: Double = 2, backoff: Double = 0.5, interval: Int = 2000) throws {
        guard scale > 0, scale.isFinite, growth > 1, backoff > 0, backoff < 1, interval > 0 else {
            throw MLOpsError(
                .failed,
                "a gradient scaler cannot have scale \(scale), growth \(growth), backoff \(backoff), interval \(interval)",
                hint: "take scale > 0, growth > 1, backoff between 0 and 1, interval > 0")
        }
        self.scale = scale
        self.growth = growth
        self.backoff = backoff
        self.interval = interval
    }

    /// The loss to derive.
    public func scaled(_ loss: Tensor) throws -> Tensor { try loss.cast(to: .f32).scaled(by: scale) }

    /// The gradients of the loss from those of the scaled one, in f32; nil if one is not finite, and then the step must be left
    /// out. Moves the scale.
    public mutating func unscaled(_ gradients: [Tensor]) throws -> [Tensor]? {
        guard gradients.allSatisfy(\.isFinite) else {
            scale *= backoff
            goodSteps = 0
            return nil
        }
        let factor = 1 / scale
        let result = try gradients.map { gradient in
            try withoutGradients {
                try (gradient.dtype.isHalf ? gradient.cast(to: .f32) : gradient).scaled(by: factor)
            }
        }
        goodSteps += 1
        if goodSteps == interval {
            scale *= growth
            goodSteps = 0
        }
        return result
    }
}
