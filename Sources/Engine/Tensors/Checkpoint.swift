public import Basics

/// `body` of `inputs`, of whose intermediate results nothing is kept: the backward pass computes them again (Chen et al., 2016).
///
/// - Parameters:
///   - inputs: all variables that `body` reads, parameters too; a backward pass throws if it meets another.
///   - body: called once now and once in each backward pass; must give the same both times.
/// - Returns: what `body` gave.
public func checkpoint(_ inputs: [Tensor], _ body: @escaping @Sendable ([Tensor]) throws -> Tensor) throws -> Tensor {
    let output = try withoutGradients { try body(inputs) }
    let (recorded, cast) = (isRecording, autocastType)
    guard recorded, inputs.contains(where: \.requiresGradient) else { return output }
    return Tensor.recorded("checkpoint", output, inputs: inputs) { gradient, _ in
        let again = try withRecording(true) { try withAutocast(cast) { try body(inputs) } }
        guard again.shape == gradient.shape else {
            throw shapeError(
                "checkpoint", gradient.shape, again.shape, "the body gave another shape the second time")
        }
        try requireLeaves(of: again, among: inputs)
        return try gradients(of: again, seed: gradient, inputs: inputs)
    }
}

/// The same for a `body` that draws random numbers: it gets the generator as it stood at the call each time, so that its dropout
/// drops the same elements again. `generator` moves on as if `body` had used it.
public func checkpoint(
    _ inputs: [Tensor], using generator: inout Philox,
    _ body: @escaping @Sendable ([Tensor], inout Philox) throws -> Tensor
) throws -> Tensor {
    let start = generator
    let after = Box(start)
    let output = try checkpoint(inputs) { inputs in
        var own = start
        defer { after.value = own }
        return try body(inputs, &own)
    }
    generator = after.value
    return output
}

/// Where the generator stood after the last run of a checkpoint's body.
///
/// `@unchecked Sendable`: read by the caller only, after the first run and before any other.
private final class Box: @unchecked Sendable {
    var value: Philox
    init(_ value: Philox) { self.value = value }
}

/// Throws if `output` depends on a variable that is not among `inputs`: its gradient would be lost.
private func requireLeaves(of output: Tensor, among inputs: [Tensor]) throws {
    let known = Set(inputs.compactMap { $0.node.map(ObjectIdentifier.init) })
    var pending = output.node.map { [$0] } ?? []
    var seen = known
    while let node = pending.popLast() {
        guard seen.insert(ObjectIdentifier(node)).inserted else { continue }
        guard !node.isLeaf else {
            throw MLOpsError(
                .failed, "`checkpoint`: the body reads a variable that is not among its \(inputs.count) inputs",
                hint: "pass all parameters that it uses as inputs")
        }
        pending.append(contentsOf: node.parents.lazy.compactMap(\.self))
    }
}

extension Tensor {
    /// The same values, through which gradients flow back by way of `hook`.
    ///
    /// - Parameter hook: gets the gradient of the result; what it returns flows on instead, nil means the gradient as it is.
    public func onGradient(_ hook: @escaping @Sendable (Tensor) throws -> Tensor?) -> Tensor {
        record("hook", detached, inputs: [self]) { gradient, _ in
            guard let changed = try hook(gradient) else { return [gradient] }
            try requireSameType("hook", gradient, changed)
            guard changed.shape == gradient.shape else {
                throw shapeError("hook", gradient.shape, changed.shape, "the hook gave a gradient of another shape")
            }
            return [changed]
        }
    }
}
