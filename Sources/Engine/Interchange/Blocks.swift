package import NeuralNets
package import Tensors

/// The input's channels, then those that `branch` makes of it.
///
/// Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks, 2017.
package final class ConcatenatedBlock: Module {
    package let branch: Sequential

    package init(branch: Sequential) { self.branch = branch }

    package override var children: [(name: String, module: Module)] { [("branch", branch)] }

    package override func forward(_ x: Tensor) throws -> Tensor { try .concatenated([x, branch(x)], axis: 1) }
}
