internal import Basics
public import Tensors

/// Changes parameters by their gradients.
public protocol Optimizer: AnyObject {
    /// The rate of the next step; schedules change it.
    var learningRate: Double { get set }
    var parameters: [Parameter] { get }
    /// One step by the gradients that parameters hold; those without one, and frozen ones, stay.
    func step() throws
    /// What the optimizer remembers between steps, by names of its own.
    func state() -> [String: Tensor]
    /// Continues from what `state` gave.
    ///
    /// - Throws: one error that lists every entry that is missing, too many or of another shape; nothing is changed then.
    func load(_ state: [String: Tensor]) throws
}

extension Optimizer {
    /// Forgets all gradients.
    public func clearGradients() { for parameter in parameters { parameter.gradient = nil } }
}

/// An optimizer whose momentum (Adam's first beta) can follow a schedule.
public protocol MomentumOptimizer: Optimizer {
    /// 0 for an optimizer that was made without.
    var momentum: Double { get set }
}

/// What an optimizer is made of: a parameter, or a group of them with a rate and a decay of their own.
public protocol Optimizable {
    var parameterGroup: ParameterGroup { get }
}

/// Parameters that share a rate and a decay.
public struct ParameterGroup: Optimizable {
    public var parameters: [Parameter]
    /// The group's rate is the optimizer's times this.
    public var rateFactor: Double
    /// nil means the optimizer's own.
    public var weightDecay: Double?

    public init(_ parameters: [Parameter], rateFactor: Double = 1, weightDecay: Double? = nil) {
        self.parameters = parameters
        self.rateFactor = rateFactor
        self.weightDecay = weightDecay
    }

    public var parameterGroup: ParameterGroup { self }
}

extension Parameter: Optimizable {
    public var parameterGroup: ParameterGroup { ParameterGroup([self]) }
}

/// What all optimizers share: groups of parameters, the tensors kept beside each parameter, and one pass over all of them.
public class GroupedOptimizer: Optimizer {
    public var learningRate: Double
    /// An L2 penalty in the gradient, unless the optimizer says otherwise.
    public let weightDecay: Double
    public let parameters: [Parameter]
    private let groups: [ParameterGroup]
    /// The group of each parameter.
    private let groupIndices: [Int]
    /// What is kept for each parameter: its tensors and how many steps it has made.
    private var memories: [Memory]

    private struct Memory {
        var tensors: [Tensor]?
        var steps = 0
    }

    /// - Precondition: numbers are not negative, and no parameter is given twice.
    init(_ parts: [some Optimizable], learningRate: Double, weightDecay: Double) {
        precondition(
            learningRate >= 0 && weightDecay >= 0,
            "learning rate \(learningRate) and decay \(weightDecay) must not be negative")
        groups = parts.map(\.parameterGroup)
        parameters = groups.flatMap(\.parameters)
        precondition(
            Set(parameters.map(ObjectIdentifier.init)).count == parameters.count,
            "a parameter is given to the optimizer twice")
        precondition(
            groups.allSatisfy { $0.rateFactor >= 0 && $0.weightDecay ?? 0 >= 0 },
            "rate factors and decays of groups must not be negative")
        groupIndices = groups.enumerated().flatMap { index, group in group.parameters.map { _ in index } }
        memories = parameters.map { _ in Memory() }
        self.learningRate = learningRate
        self.weightDecay = weightDecay
    }

    /// Names of the tensors kept for each parameter.
    var stateNames: [String] { [] }

    /// The tensors kept for a parameter before its first step.
    func freshState(like gradient: Tensor) -> [Tensor] {
        stateNames.map { _ in .zeros(gradient.shape, dtype: gradient.dtype) }
    }

    /// The numbers of a parameter's step number `step`, counted from 1.
    func settings(learningRate: Double, weightDecay: Double, step: Int) -> OptimizerStep {
        preconditionFailure("\(type(of: self)) does not say what its step is")
    }

    /// Changes values and states as told; what some optimizer does besides.
    func apply(_ updates: inout [ParameterUpdate]) throws { ParameterUpdate.apply(&updates) }

    public func step() throws {
        let chosen = parameters.indices.filter { !parameters[$0].isFrozen && parameters[$0].gradient != nil }
        for index in chosen { try requireAlike(parameters[index]) }
        var updates: [ParameterUpdate] = []
        updates.reserveCapacity(chosen.count)
        for index in chosen {
            guard let gradient = parameters[index].gradient else { continue }
            let group = groups[groupIndices[index]]
            memories[index].steps += 1
            let tensors = memories[index].tensors ?? freshState(like: gradient)
            // Who is written to must have one holder, or writing would copy it.
            memories[index].tensors = nil
            let settings = settings(
                learningRate: learningRate * group.rateFactor, weightDecay: group.weightDecay ?? weightDecay,
                step: memories[index].steps)
            updates.append(
                ParameterUpdate(
                    value: parameters[index].takeValue(), gradient: gradient, states: tensors, step: settings))
        }
        let outcome = Result {
            try OperationProfile.measure(
                String(describing: type(of: self)), .optimizer,
                shapes: OperationProfile.isOn ? updates.map(\.value.shape) : []
            ) { try apply(&updates) }
        }
        for (index, update) in zip(chosen, updates) {
            parameters[index].putValue(update.value)
            memories[index].tensors = update.states
        }
        try outcome.get()
    }

    private func requireAlike(_ parameter: Parameter) throws {
        guard let gradient = parameter.gradient else { return }
        guard gradient.shape == parameter.value.shape, gradient.dtype == parameter.value.dtype else {
            throw ModuleError.misshapen("gradient", expected: parameter.value, found: gradient)
        }
        guard gradient.dtype == .f32 || gradient.dtype == .f64 else {
            throw MLOpsError(
                .failed, "an optimizer changes parameters of f32 or f64, not of \(gradient.dtype)",
                hint: "keep the parameters in f32 and cast them where they are used")
        }
    }

    /// `NAME.INDEX` for each tensor and `steps.INDEX`, of the parameters that have made a step.
    public func state() -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for (index, memory) in memories.enumerated() where memory.steps > 0 {
            for (name, tensor) in zip(stateNames, memory.tensors ?? []) { result["\(name).\(index)"] = tensor }
            result["steps.\(index)"] = Tensor([Int64(memory.steps)], shape: [])
        }
        return result
    }

    public func load(_ state: [String: Tensor]) throws {
        var rest = state
        var faults: [String] = []
        var loaded = parameters.map { _ in Memory() }
        for (index, parameter) in parameters.enumerated() {
            guard let steps = rest.removeValue(forKey: "steps.\(index)") else { continue }
            loaded[index].steps = (try? steps.item()).map { Int($0) } ?? 0
            loaded[index].tensors = stateNames.compactMap { name in
                let key = "\(name).\(index)"
                guard let tensor = rest.removeValue(forKey: key) else {
                    faults.append("missing `\(key)` \(parameter.value.shape)")
                    return nil
                }
                let value = parameter.value
                if tensor.shape != value.shape || tensor.dtype != value.dtype {
                    faults.append(
                        "`\(key)` is \(tensor.dtype) \(tensor.shape), expected \(value.dtype) \(value.shape)")
                }
                return tensor.detached
            }
        }
        faults += rest.keys.sorted().map { "extra `\($0)` \(state[$0]?.shape ?? [])" }
        guard faults.isEmpty else {
            throw MLOpsError(
                .failed,
                "the state does not fit \(type(of: self)) of \(Format.count(parameters.count, "parameter")), "
                    + "\(Format.count(faults.count, "fault")): " + faults.joined(separator: "; "),
                hint: "make the optimizer as it was when the state was saved")
        }
        memories = loaded
    }
}
