internal import Basics
internal import Foundation
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
    /// - Throws: if an entry is missing or of another shape.
    func load(_ state: [String: Tensor]) throws
}

extension Optimizer {
    /// Forgets all gradients.
    public func clearGradients() { for parameter in parameters { parameter.gradient = nil } }
}

/// The L2 norm of all gradients together; scales them down to `norm` if it is larger (torch.nn.utils.clip_grad_norm_).
@discardableResult
public func clipGradients(of parameters: [Parameter], toNorm norm: Double) throws -> Double {
    precondition(norm > 0, "gradients cannot be clipped to norm \(norm)")
    let total = try parameters.reduce(0.0) { try $0 + ($1.gradient?.sumOfSquares() ?? 0) }.squareRoot()
    let factor = norm / (total + 1e-6)
    if factor < 1 {
        for parameter in parameters { parameter.gradient = try parameter.gradient?.scaled(by: factor) }
    }
    return total
}

/// Stochastic gradient descent, equal to torch.optim.SGD.
public final class SGD: Optimizer {
    public var learningRate: Double
    public let parameters: [Parameter]
    public let momentum: Double
    public let dampening: Double
    public let isNesterov: Bool
    public let weightDecay: Double
    private var velocities: [Tensor?]

    /// - Precondition: rates are not negative; Nesterov needs momentum and no dampening.
    public init(
        _ parameters: [Parameter], learningRate: Double, momentum: Double = 0, dampening: Double = 0,
        isNesterov: Bool = false, weightDecay: Double = 0
    ) {
        precondition(
            learningRate >= 0 && momentum >= 0 && weightDecay >= 0,
            "learning rate \(learningRate), momentum \(momentum) and decay \(weightDecay) must not be negative")
        precondition(!isNesterov || momentum > 0 && dampening == 0, "Nesterov needs momentum and no dampening")
        self.parameters = parameters
        self.learningRate = learningRate
        self.momentum = momentum
        self.dampening = dampening
        self.isNesterov = isNesterov
        self.weightDecay = weightDecay
        velocities = parameters.map { _ in nil }
    }

    public func step() throws {
        for (index, parameter) in parameters.enumerated() {
            guard !parameter.isFrozen, let gradient = parameter.gradient else { continue }
            try requireAlike(parameter, gradient)
            var step = SGDStep(learningRate: learningRate)
            step.weightDecay = weightDecay
            step.momentum = momentum
            step.dampening = dampening
            step.isNesterov = isNesterov
            step.isFirst = velocities[index] == nil
            var velocity: Tensor?
            if momentum > 0 {
                velocity = velocities[index] ?? .zeros(gradient.shape, dtype: gradient.dtype)
                velocities[index] = nil
            }
            parameter.update { $0.stepSGD(step, gradient: gradient, velocity: &velocity) }
            velocities[index] = velocity
        }
    }

    public func state() -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for (index, velocity) in velocities.enumerated() { result["velocity.\(index)"] = velocity }
        return result
    }

    public func load(_ state: [String: Tensor]) throws {
        velocities = try parameters.enumerated().map { try entry("velocity.\($0)", of: state, like: $1.value) }
    }
}

/// Adam (Kingma & Ba, 2015), equal to torch.optim.Adam; the decay is an L2 penalty in the gradient.
public final class Adam: Optimizer {
    public var learningRate: Double {
        get { core.learningRate }
        set { core.learningRate = newValue }
    }
    public var parameters: [Parameter] { core.parameters }
    private let core: AdamCore

    public init(
        _ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 0
    ) {
        core = AdamCore(parameters, learningRate, betas, epsilon, weightDecay, isDecoupled: false)
    }

    public func step() throws { try core.step() }
    public func state() -> [String: Tensor] { core.state() }
    public func load(_ state: [String: Tensor]) throws { try core.load(state) }
}

/// Adam with decoupled decay (Loshchilov & Hutter, 2019), equal to torch.optim.AdamW.
public final class AdamW: Optimizer {
    public var learningRate: Double {
        get { core.learningRate }
        set { core.learningRate = newValue }
    }
    public var parameters: [Parameter] { core.parameters }
    private let core: AdamCore

    public init(
        _ parameters: [Parameter], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
        epsilon: Double = 1e-8, weightDecay: Double = 1e-2
    ) {
        core = AdamCore(parameters, learningRate, betas, epsilon, weightDecay, isDecoupled: true)
    }

    public func step() throws { try core.step() }
    public func state() -> [String: Tensor] { core.state() }
    public func load(_ state: [String: Tensor]) throws { try core.load(state) }
}

/// What Adam and AdamW share.
private final class AdamCore {
    var learningRate: Double
    let parameters: [Parameter]
    private let template: AdamStep
    private var moments: [(first: Tensor, second: Tensor, steps: Int)?]

    init(
        _ parameters: [Parameter], _ learningRate: Double, _ betas: (Double, Double), _ epsilon: Double,
        _ weightDecay: Double, isDecoupled: Bool
    ) {
        precondition(
            learningRate >= 0 && weightDecay >= 0 && epsilon >= 0 && (0..<1).contains(betas.0)
                && (0..<1).contains(betas.1),
            "learning rate \(learningRate), decay \(weightDecay), epsilon \(epsilon), betas \(betas) do not fit Adam")
        self.parameters = parameters
        self.learningRate = learningRate
        var template = AdamStep(learningRate: learningRate, step: 0)
        template.weightDecay = weightDecay
        template.beta1 = betas.0
        template.beta2 = betas.1
        template.epsilon = epsilon
        template.isDecoupled = isDecoupled
        self.template = template
        moments = parameters.map { _ in nil }
    }

    func step() throws {
        for (index, parameter) in parameters.enumerated() {
            guard !parameter.isFrozen, let gradient = parameter.gradient else { continue }
            try requireAlike(parameter, gradient)
            let zeros = { Tensor.zeros(gradient.shape, dtype: gradient.dtype) }
            var (first, second, steps) = moments[index] ?? (zeros(), zeros(), 0)
            moments[index] = nil
            steps += 1
            var step = template
            step.learningRate = learningRate
            step.step = steps
            parameter.update { $0.stepAdam(step, gradient: gradient, first: &first, second: &second) }
            moments[index] = (first, second, steps)
        }
    }

    func state() -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for case (let index, let moment?) in moments.enumerated() {
            result["first.\(index)"] = moment.first
            result["second.\(index)"] = moment.second
            result["steps.\(index)"] = Tensor([Int64(moment.steps)], shape: [])
        }
        return result
    }

    func load(_ state: [String: Tensor]) throws {
        moments = try parameters.enumerated().map { index, parameter in
            guard let first = try entry("first.\(index)", of: state, like: parameter.value),
                let second = try entry("second.\(index)", of: state, like: parameter.value),
                let steps = state["steps.\(index)"]
            else { return nil }
            return (first, second, Int(try steps.item()))
        }
    }
}

private func requireAlike(_ parameter: Parameter, _ gradient: Tensor) throws {
    guard gradient.shape == parameter.value.shape, gradient.dtype == parameter.value.dtype else {
        throw ModuleError.misshapen("gradient", expected: parameter.value, found: gradient)
    }
}

private func entry(_ name: String, of state: [String: Tensor], like value: Tensor) throws -> Tensor? {
    guard let tensor = state[name] else { return nil }
    guard tensor.shape == value.shape, tensor.dtype == value.dtype else {
        throw ModuleError.misshapen(name, expected: value, found: tensor)
    }
    return tensor
}
