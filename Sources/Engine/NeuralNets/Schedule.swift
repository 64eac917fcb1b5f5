internal import Foundation

/// How the learning rate changes from step to step, as a factor of the base rate; named as in torch.optim.lr_scheduler.
public indirect enum Schedule: Sendable, Hashable, Codable {
    case constant
    /// Times `factor` after every `interval` steps (StepLR).
    case step(interval: Int, factor: Double)
    /// Times `factor` at each of `milestones` (MultiStepLR).
    case multiStep(milestones: [Int], factor: Double)
    /// Times `factor` after every step (ExponentialLR).
    case exponential(factor: Double)
    /// Half a cosine from 1 down to `floor` over `steps`, then `floor` (CosineAnnealingLR).
    case cosine(steps: Int, floor: Double = 0)
    /// A cosine over `steps` that starts again and again, each time `growth` times as long (CosineAnnealingWarmRestarts;
    /// Loshchilov & Hutter, 2017).
    case cosineRestarts(steps: Int, growth: Int = 1, floor: Double = 0)
    /// A line over `steps`, then its end (LinearLR).
    case linear(from: Double, to: Double = 1, steps: Int)
    /// (1 - step / `steps`) to the power `power`, then 0 (PolynomialLR).
    case polynomial(steps: Int, power: Double = 1)
    /// Up to 1, which is the largest rate, and down again within `steps` (OneCycleLR; Smith & Topin, 2018).
    case oneCycle(OneCycle)
    /// From 1 / `steps` up to 1 in a line over `steps`, then another schedule from its start.
    case warmUp(steps: Int, then: Schedule)
    /// One schedule for `steps`, then another from its start (SequentialLR).
    case sequence(Schedule, steps: Int, then: Schedule)

    /// The factor at `step`, counted from 0.
    public func factor(at step: Int) -> Double {
        switch self {
        case .constant: return 1
        case .step(let interval, let factor): return pow(factor, Double(step / max(1, interval)))
        case .multiStep(let milestones, let factor): return pow(factor, Double(milestones.count { $0 <= step }))
        case .exponential(let factor): return pow(factor, Double(step))
        case .cosine(let steps, let floor): return Schedule.cosine(min(step, steps), of: steps, floor)
        case .cosineRestarts(let steps, let growth, let floor):
            var length = max(1, steps)
            var rest = step
            while rest >= length {
                rest -= length
                length *= max(1, growth)
            }
            return Schedule.cosine(rest, of: length, floor)
        case .linear(let start, let end, let steps):
            return start + (end - start) * Double(min(step, steps)) / Double(max(1, steps))
        case .polynomial(let steps, let power):
            return pow(1 - Double(min(step, steps)) / Double(max(1, steps)), power)
        case .oneCycle(let cycle): return cycle.factor(at: step)
        case .warmUp(let steps, let then):
            return step < steps ? Double(step + 1) / Double(steps) : then.factor(at: step - steps)
        case .sequence(let first, let steps, let then):
            return step < steps ? first.factor(at: step) : then.factor(at: step - steps)
        }
    }

    /// The momentum at `step`, if the schedule sets one.
    public func momentum(at step: Int) -> Double? {
        switch self {
        case .oneCycle(let cycle): return cycle.momentum(at: step)
        case .warmUp(let steps, let then): return step < steps ? nil : then.momentum(at: step - steps)
        case .sequence(let first, let steps, let then):
            return step < steps ? first.momentum(at: step) : then.momentum(at: step - steps)
        default: return nil
        }
    }

    private static func cosine(_ step: Int, of steps: Int, _ floor: Double) -> Double {
        floor + (1 - floor) * (1 + cos(.pi * Double(step) / Double(max(1, steps)))) / 2
    }
}

/// The settings of `Schedule.oneCycle`, with the defaults of OneCycleLR.
public struct OneCycle: Sendable, Hashable, Codable {
    public var steps: Int
    /// The share of the steps in which the rate rises.
    public var risingShare = 0.3
    /// The first rate is the largest divided by this.
    public var startDivisor = 25.0
    /// The last rate is the first divided by this.
    public var endDivisor = 1e4
    /// Lines instead of halves of cosines.
    public var isLinear = false
    /// Whether the rate comes down to the first as it rose, and only then to the last.
    public var hasThreePhases = false
    /// The momentum goes from the upper bound to the lower and back while the rate goes up and down; nil leaves it alone.
    public var momentum: ClosedRange<Double>?

    public init(steps: Int) { self.steps = steps }

    func factor(at step: Int) -> Double {
        let start = 1 / startDivisor
        let end = start / endDivisor
        return value(at: step, hasThreePhases ? [start, 1, start, end] : [start, 1, end])
    }

    func momentum(at step: Int) -> Double? {
        guard let momentum else { return nil }
        let (low, high) = (momentum.lowerBound, momentum.upperBound)
        return value(at: step, hasThreePhases ? [high, low, high, high] : [high, low, high])
    }

    /// The value at `step` on the way through `turns`, one after each phase.
    private func value(at step: Int, _ turns: [Double]) -> Double {
        let rising = risingShare * Double(steps) - 1
        let last = Double(steps - 1)
        let ends = hasThreePhases ? [0, rising, 2 * rising, last] : [0, rising, last]
        let step = min(Double(step), last)
        let phase = (1..<ends.count).first { step <= ends[$0] } ?? ends.count - 1
        let length = ends[phase] - ends[phase - 1]
        let part = length > 0 ? (step - ends[phase - 1]) / length : 1
        let (from, to) = (turns[phase - 1], turns[phase])
        return isLinear ? from + (to - from) * part : to + (from - to) / 2 * (1 + cos(.pi * part))
    }
}
