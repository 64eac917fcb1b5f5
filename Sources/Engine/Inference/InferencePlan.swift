internal import Basics
package import Interchange
internal import Synchronization
internal import Tensors

/// A trained float network made ready to run: batch norms folded into the layers before them, what follows a convolution or a
/// linear layer done in the same call, and each value given back right after its last use. No tape, no dropout.
///
/// Immutable, so any number of threads may run it at once. The same inputs in the same batch give the same bits.
package struct InferencePlan: Sendable {
    /// One call.
    package struct Step: Sendable {
        /// The first of the layers that it does, and the others: `0`, `0 + 1 + 2`.
        package var path: String
        /// What they are: `conv2d + batch_norm + relu`.
        package var name: String
        /// Floating-point operations for one example.
        package var operations: Int
        var kernel: Kernel
        var input: Int
        /// A second input: what is added.
        var other: Int?
        var output: Int
        /// Values that nobody needs afterwards.
        var released: [Int] = []
    }

    enum Kernel: Sendable {
        case linear(weight: Tensor, bias: Tensor?, FusedActivation)
        case conv2d(weight: Tensor, bias: Tensor?, Window, groups: Int, FusedActivation)
        case convTranspose2d(weight: Tensor, bias: Tensor?, Window, outputPadding: Int, groups: Int)
        case batchNorm(weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, FusedActivation)
        case layerNorm(weight: Tensor, bias: Tensor)
        case add(FusedActivation)
        case concatenate
        case maxPool2d(Window)
        case avgPool2d(Window, countsPadding: Bool)
        case globalAvgPool2d
        case activation(NetworkGraph.Activation)
        case flatten
    }

    package let network: NetworkGraph
    package let steps: [Step]
    private let prepared = PreparedSteps()

    package var inputShape: [Int] { network.shapes[0] }
    package var outputShape: [Int] { network.shapes[network.output] }

    /// - Throws: kind `.damaged` naming every tensor of the architecture that is missing or has another shape.
    package init(_ model: ModelFile, path: String) throws {
        network = try NetworkGraph(model.description.architecture)
        try network.checkTensors(of: model, path: path)
        var planner = InferencePlanner(network: network, tensors: model.tensors)
        steps = planner.steps()
    }

    /// The most numbers that live at once for one example, without what a kernel needs inside.
    package var peakActivationCount: Int {
        func size(_ value: Int) -> Int { network.shapes[value].reduce(1, *) }
        var live = size(0)
        var peak = live
        for step in steps {
            live += size(step.output)
            peak = max(peak, live)
            live -= step.released.reduce(0) { $0 + size($1) }
        }
        return peak
    }

    /// The outputs for `count` examples that lie one after the other in `features`.
    ///
    /// A large batch is cut into chunks by its size alone, so that what lies between layers stays in the cache; a thread takes a chunk
    /// through all layers.
    ///
    /// - Parameter observe: gets the index of each step and how long it took, of the whole batch at once.
    package func run(
        _ features: [Float], count: Int, observe: ((Int, Duration) -> Void)? = nil
    ) throws -> [Float] {
        let inputSize = inputShape.reduce(1, *)
        precondition(features.count == count * inputSize, "\(features.count) numbers for \(count) examples")
        let size = chunkSize(of: count)
        return try features.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return [] }
            guard observe == nil, size < count else {
                return try run(
                    Tensor(copying: start, shape: [count] + inputShape), prepared.steps(of: self, count: count),
                    observe: observe)
            }
            let chunks = try EngineThreads.map((count + size - 1) / size) { index in
                let part = index * size..<min(count, (index + 1) * size)
                let examples = Tensor(copying: start + part.lowerBound * inputSize, shape: [part.count] + inputShape)
                return try run(examples, prepared.steps(of: self, count: part.count), observe: nil)
            }
            return Array(chunks.joined())
        }
    }

    /// Examples that go through the network together: some megabytes of values between layers, and chunks of one size.
    private func chunkSize(of count: Int) -> Int {
        let fitting = max(1, (4 << 20) / max(1, peakActivationCount * 4))
        guard fitting < count else { return count }
        // An even number of chunks keeps two threads, or four, busy to the end.
        let chunks = ((count + fitting - 1) / fitting + 3) / 4 * 4
        return max(1, (count + chunks - 1) / chunks)
    }

    private func run(
        _ input: Tensor, _ ready: [PreparedConvolution?], observe: ((Int, Duration) -> Void)?
    ) throws -> [Float] {
        try withoutGradients {
            var values = [Tensor?](repeating: nil, count: network.shapes.count)
            values[0] = input
            let clock = ContinuousClock()
            for index in steps.indices {
                let start = observe == nil ? nil : clock.now
                let output = steps[index].output
                values[output] = try result(of: steps[index], ready[index], &values)
                if let observe, let start { observe(index, clock.now - start) }
            }
            return values[network.output]?.floats() ?? []
        }
    }

    private func result(of step: Step, _ ready: PreparedConvolution?, _ values: inout [Tensor?]) throws -> Tensor {
        guard let input = values[step.input] else { preconditionFailure("value \(step.input) was given back") }
        let other = step.other.flatMap { values[$0] }
        // A value that nobody else holds may be overwritten by the step.
        for value in step.released { values[value] = nil }
        guard let ready, case .conv2d(_, let bias, _, _, _) = step.kernel else {
            return try step.kernel.run(input, other)
        }
        return try ready.output(input, bias, adding: other)
    }
}

/// What a plan keeps ready for batches of the sizes that it saw.
private final class PreparedSteps: Sendable {
    private static let most = 8
    private let known = Mutex<[(count: Int, level: Int, steps: [PreparedConvolution?])]>([])

    /// By step of `plan`, its convolution for batches of `count`, if there is quick code for it.
    func steps(of plan: InferencePlan, count: Int) throws -> [PreparedConvolution?] {
        let level = KernelLevel.current
        if let steps = known.withLock({ $0.first { $0.count == count && $0.level == level }?.steps }) { return steps }
        let steps = try plan.steps.map { step -> PreparedConvolution? in
            guard case .conv2d(let weight, let bias, let window, let groups, let activation) = step.kernel else {
                return nil
            }
            return try .make(
                input: [count] + plan.network.shapes[step.input], weight: weight, bias: bias, window: window,
                groups: groups, activation: activation, adds: step.other != nil)
        }
        known.withLock {
            if $0.count >= PreparedSteps.most { $0.removeFirst() }
            $0.append((count, level, steps))
        }
        return steps
    }
}

extension InferencePlan.Kernel {
    fileprivate func run(_ x: Tensor, _ other: Tensor?) throws -> Tensor {
        switch self {
        case .linear(let weight, let bias, let activation):
            return try x.linear(weight: weight, bias: bias).finished(adding: nil, activation)
        case .conv2d(let weight, let bias, let window, let groups, let activation):
            return try x.conv2d(
                weight: weight, bias: bias, window: window, groups: groups, adding: other, activation: activation)
        case .convTranspose2d(let weight, let bias, let window, let padding, let groups):
            return try x.convTranspose2d(
                weight: weight, bias: bias, window: window, outputPadding: padding, groups: groups)
        case .batchNorm(let weight, let bias, let mean, let variance, let activation):
            return try x.batchNorm(
                weight: weight, bias: bias, mean: mean, variance: variance, epsilon: Architecture.batchNormEpsilon,
                activation: activation)
        case .maxPool2d(let window): return try x.maxPool2d(window)
        case .layerNorm(let weight, let bias):
            return try x.layerNorm(weight: weight, bias: bias, epsilon: Architecture.batchNormEpsilon)
        case .avgPool2d(let window, let countsPadding): return try x.avgPool2d(window, countsPadding: countsPadding)
        case .globalAvgPool2d:
            return try x.avgPool2d(Window(height: x.shape[2], width: x.shape[3])).reshaped([x.shape[0], x.shape[1]])
        case .add(let activation): return try x.finished(adding: other ?? x, activation)
        case .concatenate: return try .concatenated([x, other ?? x], axis: 1)
        case .activation(let function): return try function.apply(x)
        case .flatten: return try x.flattened(from: 1)
        }
    }
}

extension NetworkGraph.Activation {
    fileprivate func apply(_ x: Tensor) throws -> Tensor {
        switch self {
        case .relu: try x.relu()
        case .relu6: try x.relu6()
        case .leakyReLU(let slope): try x.leakyReLU(slope: slope)
        case .tanh: try x.tanh()
        case .sigmoid: try x.sigmoid()
        case .gelu: try x.gelu()
        }
    }

    /// The form that a kernel can do along with its own work; nil if none can.
    var fused: FusedActivation? {
        switch self {
        case .relu: .relu
        case .relu6: .relu6
        case .leakyReLU, .tanh, .sigmoid, .gelu: nil
        }
    }
}
