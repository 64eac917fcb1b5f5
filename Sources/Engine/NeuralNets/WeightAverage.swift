internal import Basics
internal import Tensors

/// A moving average of weights: average += (1 - decay) · (value - average) after each step, as torch.optim.swa_utils with its
/// exponential average has it; the first step copies.
public final class WeightAverage {
    public let decay: Double
    private let parameters: [Parameter]
    /// Empty before the first update.
    private var averages: [Tensor] = []

    /// - Precondition: `decay` is in 0 ..< 1.
    public init(of parameters: [Parameter], decay: Double) {
        precondition((0..<1).contains(decay), "a moving average with a share of the past of \(decay) cannot be")
        self.parameters = parameters
        self.decay = decay
    }

    /// Takes the present values in.
    public func update() {
        guard !averages.isEmpty else {
            averages = parameters.map(\.value.detached)
            return
        }
        var step = OptimizerStep(.average)
        step.momentum = decay
        var updates = zip(averages, parameters).map {
            ParameterUpdate(value: $0, gradient: $1.value.detached, step: step)
        }
        // Who is written to must have one holder, or writing would copy it.
        averages = []
        ParameterUpdate.apply(&updates)
        averages = updates.map(\.value)
    }

    /// `body` with the averages in the place of the values.
    public func applied<Result>(_ body: () throws -> Result) rethrows -> Result {
        exchange()
        defer { exchange() }
        return try body()
    }

    /// Sets the values to the averages.
    public func adopt() { for (parameter, average) in zip(parameters, averages) { parameter.putValue(average) } }

    private func exchange() {
        for index in averages.indices {
            let value = parameters[index].takeValue()
            parameters[index].putValue(averages[index])
            averages[index] = value
        }
    }

    func state() -> [String: Tensor] {
        Dictionary(uniqueKeysWithValues: averages.enumerated().map { (String($0), $1) })
    }

    func load(_ state: [String: Tensor]) throws {
        guard !state.isEmpty else {
            averages = []
            return
        }
        averages = try parameters.enumerated().map { index, parameter in
            guard let average = state[String(index)], average.shape == parameter.value.shape,
                average.dtype == parameter.value.dtype
            else {
                throw MLOpsError(
                    .failed,
                    "the checkpoint's averages do not fit the network: `average.\(index)` should be "
                        + "\(parameter.value.dtype) \(parameter.value.shape)",
                    hint: "build the model as it was when the checkpoint was saved")
            }
            return average
        }
    }
}
