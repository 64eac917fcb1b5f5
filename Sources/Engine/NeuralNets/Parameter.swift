public import Tensors

/// A tensor that training changes: a variable of the graph, shared by reference, so that layers can tie it.
public final class Parameter {
    /// The present value, always a variable of the graph unless frozen.
    public private(set) var value: Tensor
    /// What the last backward pass gave, for the optimizer.
    public var gradient: Tensor?
    /// Whether training leaves the value alone.
    public var isFrozen = false {
        didSet { refresh(value.detached) }
    }

    /// - Precondition: `value` is of floats.
    public init(_ value: Tensor) {
        precondition(value.dtype.isFloat, "a parameter is of f32 or f64, not \(value.dtype)")
        self.value = value.detached
        refresh(value.detached)
    }

    /// Replaces the value by another of the same shape and dtype.
    ///
    /// - Throws: if shape or dtype differ.
    public func set(_ value: Tensor) throws {
        guard value.shape == self.value.shape, value.dtype == self.value.dtype else {
            throw ModuleError.misshapen("parameter", expected: self.value, found: value)
        }
        refresh(value.detached)
    }

    /// Changes the value in place.
    package func update(_ body: (inout Tensor) throws -> Void) rethrows {
        var changed = takeValue()
        defer { putValue(changed) }
        try body(&changed)
    }

    /// The value as a constant that nobody else holds, to be changed in place and given back by `putValue`.
    func takeValue() -> Tensor {
        let taken = value.detached
        value = Parameter.nothing
        return taken
    }

    /// Sets the value, which is of the shape and dtype of what `takeValue` gave.
    func putValue(_ changed: Tensor) { refresh(changed) }

    private static let nothing = Tensor.zeros([])

    private func refresh(_ constant: Tensor) {
        // Only integers cannot be variables, and `init` refuses these.
        value = isFrozen ? constant : (try? constant.requiringGradient()) ?? constant
    }
}

/// A tensor that belongs to a module's state but has no gradient, such as running statistics.
public final class Buffer {
    public var value: Tensor

    public init(_ value: Tensor) { self.value = value.detached }
}
