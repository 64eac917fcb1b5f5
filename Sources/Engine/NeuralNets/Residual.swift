public import Tensors

/// branch(x) + shortcut(x), then an activation if there is one (He, Zhang, Ren, Sun: Deep residual learning for image recognition,
/// 2015).
public final class Residual: Module {
    public let branch: Module
    /// nil means x itself.
    public let shortcut: Module?
    public let activation: Module?

    public init(_ branch: Module, shortcut: Module? = nil, activation: Module? = nil) {
        self.branch = branch
        self.shortcut = shortcut
        self.activation = activation
    }

    public override var children: [(name: String, module: Module)] {
        [("branch", branch)] + (shortcut.map { [("shortcut", $0)] } ?? [])
            + (activation.map { [("activation", $0)] } ?? [])
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        guard let activation else { return try forward(x, adding: nil, activation: .none) }
        if activation.observer == nil, let fused = activation.fusedActivation {
            return try forward(x, adding: nil, activation: fused)
        }
        return try activation(forward(x, adding: nil, activation: .none))
    }

    override var canFuse: Bool { activation == nil }

    override func forward(_ x: Tensor, adding residual: Tensor?, activation: FusedActivation) throws -> Tensor {
        let added = try shortcut?(x) ?? x
        guard residual == nil, branch.canFuse, branch.observer == nil else {
            return try (branch(x) + added).finished(adding: residual, activation)
        }
        return try branch.applied { try branch.forward(x, adding: added, activation: activation) }
    }
}
