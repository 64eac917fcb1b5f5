internal import Foundation

/// How the learning rate changes from step to step, as a factor of the base rate.
public indirect enum Schedule: Sendable, Hashable, Codable {
    case constant
    /// Times `factor` after every `interval` steps (torch.optim.lr_scheduler.StepLR).
    case step(interval: Int, factor: Double)
    /// Half a cosine from 1 down to `floor` over `steps`, then `floor` (CosineAnnealingLR).
    case cosine(steps: Int, floor: Double = 0)
    /// From 1 / `steps` up to 1 in a line over `steps`, then another schedule from its start.
    case warmUp(steps: Int, then: Schedule)

    /// The factor at `step`, counted from 0.
    public func factor(at step: Int) -> Double {
        switch self {
        case .constant: return 1
        case .step(let interval, let factor): return pow(factor, Double(step / max(1, interval)))
        case .cosine(let steps, let floor):
            let part = Double(min(step, steps)) / Double(max(1, steps))
            return floor + (1 - floor) * (1 + cos(.pi * part)) / 2
        case .warmUp(let steps, let then):
            return step < steps ? Double(step + 1) / Double(steps) : then.factor(at: step - steps)
        }
    }
}
