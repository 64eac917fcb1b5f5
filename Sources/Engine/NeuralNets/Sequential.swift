public import Tensors

/// Modules one after the other, named by their position unless names are given.
public final class Sequential: Module {
    private let parts: [(name: String, module: Module)]

    public init(_ modules: [Module]) { parts = modules.enumerated().map { (String($0), $1) } }

    /// - Precondition: no name occurs twice.
    public init(named parts: [(name: String, module: Module)]) {
        precondition(Set(parts.map(\.name)).count == parts.count, "two modules have one name: \(parts.map(\.name))")
        self.parts = parts
    }

    public override var children: [(name: String, module: Module)] { parts }

    public override func forward(_ x: Tensor) throws -> Tensor { try forward(x, adding: nil, activation: .none) }

    override var canFuse: Bool { parts.last?.module.canFuse ?? false }

    /// A convolution or norm applies the activation behind it in its own pass, and the last of them what is added, too, unless
    /// somebody wants to see what lies between.
    override func forward(_ x: Tensor, adding residual: Tensor?, activation: FusedActivation) throws -> Tensor {
        var value = x
        var place = 0
        while place < parts.count {
            let module = parts[place].module
            let next = place + 1 < parts.count ? parts[place + 1].module : nil
            if module.canFuse, module.observer == nil {
                if let next, next.observer == nil, let follows = next.fusedActivation {
                    let input = value
                    value = try module.applied { try module.forward(input, adding: nil, activation: follows) }
                    place += 2
                    continue
                }
                if next == nil {
                    return try module.applied { try module.forward(value, adding: residual, activation: activation) }
                }
            }
            value = try module(value)
            place += 1
        }
        return try value.finished(adding: residual, activation)
    }
}
