public import Tensors

/// shortcut(x) + body(x), then an activation if there is one (He et al., 2016).
public final class Residual: Module {
    public let body: Module
    /// nil means x itself.
    public let shortcut: Module?
    public let activation: Module?

    public init(_ body: Module, shortcut: Module? = nil, activation: Module? = nil) {
        self.body = body
        self.shortcut = shortcut
        self.activation = activation
    }

    public override var children: [(name: String, module: Module)] {
        [("body", body)] + (shortcut.map { [("shortcut", $0)] } ?? [])
            + (activation.map { [("activation", $0)] } ?? [])
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        let sum = try body(x) + (shortcut.map { try $0(x) } ?? x)
        return try activation.map { try $0(sum) } ?? sum
    }
}

/// Modules that each see the input and all outputs before them, concatenated along the channels (axis 1); so is the result
/// (Huang et al., 2017).
public final class DenseBlock: Module {
    public let layers: [Module]

    public init(_ layers: [Module]) { self.layers = layers }

    public override var children: [(name: String, module: Module)] {
        layers.enumerated().map { (String($0), $1) }
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try layers.reduce(x) { try Tensor.concatenated([$0, $1($0)], axis: 1) }
    }
}

/// The input itself.
public final class Identity: Module {
    public override init() {}
}
