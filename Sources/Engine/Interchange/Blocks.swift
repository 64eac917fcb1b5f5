internal import Basics
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

extension LayerSpec {
    /// The mean of each channel of pictures `[N, C, H, W]`: `[N, C]`.
    package static func globalAverage(_ x: Tensor) throws -> Tensor {
        guard x.rank == 4 else {
            throw MLOpsError(.failed, "`globalAvgPool2d`: shape \(x.shape) is not [N, C, H, W]")
        }
        return try x.mean(axes: [2, 3])
    }

    /// min(max(x, 0), 6) of each element.
    package static func relu6(_ x: Tensor) throws -> Tensor { try x.relu() - x.shifted(by: -6).relu() }
}
