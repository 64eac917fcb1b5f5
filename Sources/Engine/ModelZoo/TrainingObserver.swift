internal import Foundation
package import Basics

/// Where a training is, told after each step.
package struct TrainingStep: Hashable, Sendable {
    /// From 1.
    package var epoch: Int
    package var epochCount: Int
    /// Steps done in this epoch, and how many it has.
    package var step: Int
    package var stepsPerEpoch: Int
    /// Mean of this epoch so far.
    package var loss: Double
    package var examplesPerSecond: Double
    /// Until the last epoch's end at this pace; nil before the first step.
    package var secondsLeft: Double?
}

/// Who is told of a training, and what more is looked into.
package struct TrainingObserver {
    package var step: (TrainingStep) -> Void
    package var epoch: (EpochRecord) -> Void
    /// Whether layers are diagnosed before the first epoch and after each.
    package var diagnoses: Bool
    /// The file that keeps the state after each epoch and when the task is cancelled; nil keeps no state.
    package var checkpoint: String?
    /// Whether to go on from the checkpoint, if there is one.
    package var resumes = false
    /// Whether a checkpoint of other settings, data or seed is passed over, rather than refused.
    package var startsOver = false
    /// The file that gets a trace of the operations for Perfetto; nil makes no trace.
    package var trace: String?

    package init(
        diagnoses: Bool = false, step: @escaping (TrainingStep) -> Void = { _ in },
        epoch: @escaping (EpochRecord) -> Void = { _ in }
    ) {
        self.diagnoses = diagnoses
        self.step = step
        self.epoch = epoch
    }
}

extension Format {
    /// `1.3e-05`.
    package static func scientific(_ value: Double) -> String { String(format: "%.1e", value) }
}
