public import Tensors

/// Modules that each see the input and all outputs before them, concatenated along the channels (axis 1); so is the result (Huang,
/// Liu, van der Maaten, Weinberger: Densely connected convolutional networks, 2017).
public final class DenseBlock: Module {
    public let layers: [(name: String, module: Module)]

    /// Named by their position.
    public convenience init(_ layers: [Module]) { self.init(named: layers.enumerated().map { (String($0), $1) }) }

    public init(named layers: [(name: String, module: Module)]) { self.layers = layers }

    public override var children: [(name: String, module: Module)] { layers }

    public override func forward(_ x: Tensor) throws -> Tensor {
        try layers.reduce(x) { try Tensor.concatenated([$0, $1.module($0)], axis: 1) }
    }
}
