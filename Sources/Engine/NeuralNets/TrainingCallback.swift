/// What is told of a training's moments, in this order. An error that a method throws ends the training.
public protocol TrainingCallback: AnyObject {
    /// Before the first step, or the first after resuming.
    func trainingWillBegin(_ trainer: Trainer) throws
    /// Before an epoch's first step; `epoch` counts from 1.
    func epochWillBegin(_ epoch: Int, _ trainer: Trainer) throws
    /// Parameters hold their gradients, not clipped yet, and their values have not changed.
    func gradientsAreReady(_ trainer: Trainer) throws
    /// After an update. `Trainer.checkpoint` gives the state from which the run goes on, and `Trainer.stop` ends it here.
    func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) throws
    /// After an epoch's validation.
    func epochDidEnd(_ record: TrainingHistory.Epoch, _ trainer: Trainer) throws
    /// At the end, with the network in the state in which it stays.
    func trainingDidEnd(_ history: TrainingHistory, _ trainer: Trainer) throws
}

extension TrainingCallback {
    public func trainingWillBegin(_ trainer: Trainer) throws {}
    public func epochWillBegin(_ epoch: Int, _ trainer: Trainer) throws {}
    public func gradientsAreReady(_ trainer: Trainer) throws {}
    public func stepDidEnd(_ progress: TrainingProgress, _ trainer: Trainer) throws {}
    public func epochDidEnd(_ record: TrainingHistory.Epoch, _ trainer: Trainer) throws {}
    public func trainingDidEnd(_ history: TrainingHistory, _ trainer: Trainer) throws {}
}
