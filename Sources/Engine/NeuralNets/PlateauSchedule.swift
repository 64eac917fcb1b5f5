/// Lowers the rate once a number stops getting better (torch.optim.lr_scheduler.ReduceLROnPlateau); its state is part of it.
public struct PlateauSchedule: Sendable, Hashable, Codable {
    /// What counts as better.
    public enum Threshold: Sendable, Hashable, Codable {
        /// By this share of the best.
        case relative(Double)
        /// By this much.
        case absolute(Double)
    }

    /// The rate is multiplied by this.
    public var factor: Double
    /// How many epochs without a better number are borne.
    public var patience: Int
    public var threshold = Threshold.relative(1e-4)
    /// Epochs after a reduction that do not count.
    public var coolDown = 0
    /// The smallest factor of the base rate.
    public var floor = 0.0
    /// Whether large numbers are good ones.
    public var isMaximized = false
    /// The present factor of the base rate.
    public private(set) var rateFactor = 1.0
    private var best: Double?
    private var badCount = 0
    private var coolDownLeft = 0

    /// - Precondition: `factor` is in 0 ..< 1.
    public init(factor: Double = 0.1, patience: Int = 10) {
        precondition((0..<1).contains(factor), "a plateau cannot change the rate by the factor \(factor)")
        self.factor = factor
        self.patience = patience
    }

    /// Takes the number after an epoch in, and gives the factor of the base rate from then on.
    @discardableResult
    public mutating func update(_ value: Double) -> Double {
        if isBetter(value) {
            best = value
            badCount = 0
        } else {
            badCount += 1
        }
        if coolDownLeft > 0 {
            coolDownLeft -= 1
            badCount = 0
        }
        if badCount > patience {
            let lowered = max(rateFactor * factor, floor)
            // As PyTorch has it: a change that is next to none is not made.
            if rateFactor - lowered > 1e-8 { rateFactor = lowered }
            coolDownLeft = coolDown
            badCount = 0
        }
        return rateFactor
    }

    private func isBetter(_ value: Double) -> Bool {
        guard let best else { return !value.isNaN }
        switch threshold {
        case .relative(let share): return isMaximized ? value > best * (1 + share) : value < best * (1 - share)
        case .absolute(let margin): return isMaximized ? value > best + margin : value < best - margin
        }
    }
}
