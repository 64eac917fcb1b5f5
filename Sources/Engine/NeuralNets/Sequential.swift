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

    public override func forward(_ x: Tensor) throws -> Tensor { try parts.reduce(x) { try $1.module($0) } }
}
