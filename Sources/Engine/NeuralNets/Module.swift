public import Basics
public import Tensors

/// A part of a network: parameters, buffers and children under names, and a function from tensor to tensor.
///
/// A subclass overrides `forward` and lists what it owns; nothing is found by reflection. Modules are references: a module used
/// twice shares its parameters.
open class Module {
    /// Whether dropout drops and batch norm uses the batch's own statistics; true at first.
    public private(set) var isTraining = true
    /// Where the module stands in its network, such as `features.0`; set by `assignPaths`, empty before.
    public private(set) var path = ""
    /// Called with each output, for diagnosis.
    private(set) var observer: ((Module, Tensor) throws -> Void)?

    public init() {}

    /// What kind of layer it is: the type's name.
    open var kind: String { String(describing: type(of: self)) }
    /// Modules inside this one, in the order of their use.
    open var children: [(name: String, module: Module)] { [] }
    /// Parameters that this module itself owns.
    open var ownParameters: [(name: String, parameter: Parameter)] { [] }
    /// Buffers that this module itself owns.
    open var ownBuffers: [(name: String, buffer: Buffer)] { [] }

    /// The function of the module; call the module itself, not this.
    open func forward(_ x: Tensor) throws -> Tensor { x }

    /// The activation that this module is, if operations before it can apply it in their own pass.
    var fusedActivation: FusedActivation? { nil }
    /// Whether `forward(_:adding:activation:)` takes fewer passes over memory than its parts.
    var canFuse: Bool { false }

    /// activation(output + residual).
    func forward(_ x: Tensor, adding residual: Tensor?, activation: FusedActivation) throws -> Tensor {
        try forward(x).finished(adding: residual, activation)
    }

    /// The generator of what is random in this module alone, such as a dropout's mask; nil if nothing is.
    open var ownGenerator: Philox? {
        get { nil }
        set {}
    }

    /// Applies the module.
    ///
    /// - Throws: what an operation throws, with the layer's path and kind put before it.
    public final func callAsFunction(_ x: Tensor) throws -> Tensor { try applied { try forward(x) } }

    /// What `body` makes of this module, told to the observer; errors name the place.
    final func applied(_ body: () throws -> Tensor) throws -> Tensor {
        let output: Tensor
        do {
            output =
                OperationProfile.isOn
                ? try OperationProfile.measure(kind, .layer, layer: path, body) : try body()
        } catch  where !path.isEmpty {
            throw ModuleError.at(path, kind, error)
        }
        try observer?(self, output)
        return output
    }

    /// This module and all below it with their paths, parents first; a shared one is listed once.
    public func modules() -> [(path: String, module: Module)] {
        var result: [(path: String, module: Module)] = []
        var seen: Set<ObjectIdentifier> = []
        func visit(_ module: Module, _ path: String) {
            guard seen.insert(ObjectIdentifier(module)).inserted else { return }
            result.append((path, module))
            for child in module.children { visit(child.module, path.isEmpty ? child.name : path + "." + child.name) }
        }
        visit(self, "")
        return result
    }

    /// All parameters with their paths, such as `features.0.weight`; a shared one is listed once.
    public func parameters() -> [(path: String, parameter: Parameter)] {
        var seen: Set<ObjectIdentifier> = []
        return modules().flatMap { path, module in
            module.ownParameters.filter { seen.insert(ObjectIdentifier($0.parameter)).inserted }
                .map { (path.isEmpty ? $0.name : path + "." + $0.name, $0.parameter) }
        }
    }

    /// All buffers with their paths.
    public func buffers() -> [(path: String, buffer: Buffer)] {
        modules().flatMap { path, module in
            module.ownBuffers.map { (path.isEmpty ? $0.name : path + "." + $0.name, $0.buffer) }
        }
    }

    /// Number of trained values.
    public var parameterCount: Int { parameters().reduce(0) { $0 + $1.parameter.value.count } }

    /// Tells all modules their paths, so that errors can name them.
    public func assignPaths() { for (path, module) in modules() { module.path = path } }

    /// Switches this and all modules below between training and inference.
    public func setTraining(_ isTraining: Bool) { for (_, module) in modules() { module.isTraining = isTraining } }

    /// `body` with `observer` being told of every module's outputs, innermost first.
    func observing(
        _ observer: @escaping (Module, Tensor) throws -> Void, during body: () throws -> Void
    ) rethrows {
        let observed = modules().map { ($0.module, $0.module.observer) }
        for (module, before) in observed {
            module.observer = {
                try before?($0, $1)
                try observer($0, $1)
            }
        }
        defer { for (module, before) in observed { module.observer = before } }
        try body()
    }

    /// Reseeds what is random in this and all modules below, each with a stream named by its path.
    public func seedRandomness(_ seed: UInt64) {
        for (path, module) in modules() where module.ownGenerator != nil {
            module.ownGenerator = Philox(seed: seed, stream: path)
        }
    }

    /// The generators of all modules in which something is random, by path.
    public func generators() -> [String: Philox] {
        modules().reduce(into: [:]) { result, entry in
            if let generator = entry.module.ownGenerator { result[entry.path] = generator }
        }
    }

    /// Sets generators to what `generators` gave; modules that are not named keep theirs.
    public func setGenerators(_ generators: [String: Philox]) {
        for (path, module) in modules() { if let generator = generators[path] { module.ownGenerator = generator } }
    }

    /// `body` with the network in inference mode and without gradients; the mode is restored.
    public func inferring<Result>(_ body: () throws -> Result) rethrows -> Result {
        let modes = modules().map { ($0.module, $0.module.isTraining) }
        setTraining(false)
        defer { for (module, mode) in modes { module.isTraining = mode } }
        return try withoutGradients(body)
    }
}
