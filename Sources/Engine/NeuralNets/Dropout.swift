public import Basics
public import Tensors

/// Sets a random share of the values to 0 in training and scales the rest; does nothing in inference.
public final class Dropout: Module {
    public let probability: Double
    private var generator: Philox

    /// - Parameter seed: of the masks, until `seedRandomness` gives another.
    public init(_ probability: Double, seed: UInt64 = 0) {
        precondition((0...1).contains(probability), "dropout probability \(probability) is not in 0...1")
        self.probability = probability
        generator = Philox(seed: seed, stream: "dropout")
    }

    public override var ownGenerator: Philox? {
        get { generator }
        set { if let newValue { generator = newValue } }
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        isTraining ? try x.dropout(probability, using: &generator) : x
    }
}
