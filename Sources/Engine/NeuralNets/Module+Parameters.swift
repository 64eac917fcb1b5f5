internal import Basics
internal import Tensors

extension Module {
    /// Parameters whose path fits one of `patterns`: `features` (and all below), `features.*.weight`, `*.bias`.
    ///
    /// - Throws: if a pattern fits no parameter.
    public func parameters(matching patterns: [String]) throws -> [(path: String, parameter: Parameter)] {
        let all = parameters()
        for pattern in patterns where !all.contains(where: { PathPattern(pattern).matches($0.path) }) {
            throw MLOpsError(
                .usage, "no parameter's path fits `\(pattern)`",
                hint: "the parameters are " + all.prefix(20).map { "`\($0.path)`" }.joined(separator: ", ")
                    + (all.count > 20 ? " and \(all.count - 20) more" : ""))
        }
        return all.filter { entry in patterns.contains { PathPattern($0).matches(entry.path) } }
    }

    /// Keeps training from changing the parameters whose path fits one of `patterns`, or lets it again.
    ///
    /// Batch norm's running statistics still follow the batches, unless the module is switched to inference.
    ///
    /// - Returns: how many parameters that are.
    /// - Throws: if a pattern fits no parameter.
    @discardableResult
    public func setFrozen(_ isFrozen: Bool, matching patterns: [String]) throws -> Int {
        let chosen = try parameters(matching: patterns)
        for (_, parameter) in chosen { parameter.isFrozen = isFrozen }
        return chosen.count
    }

    /// Groups for an optimizer.
    ///
    /// - Parameters:
    ///   - decaysVectors: whether decay acts on parameters of at most one axis, too: biases, and weights of norms.
    ///   - layerDecay: the rate of each child of this module is this times that of the next child with parameters, so that
    ///     early layers, which transfer best, change least (Howard & Ruder, 2018); 1 gives all one rate.
    ///   - rateFactors: factors of the rate for patterns of paths; the first that fits counts, on top of `layerDecay`.
    /// - Throws: if a pattern fits no parameter.
    public func parameterGroups(
        decaysVectors: Bool = true, layerDecay: Double = 1, rateFactors: [(pattern: String, factor: Double)] = []
    ) throws -> [ParameterGroup] {
        _ = try parameters(matching: rateFactors.map(\.pattern))
        let all = parameters()
        var layers: [String] = []
        for (path, _) in all {
            let layer = String(path.prefix { $0 != "." })
            if !layers.contains(layer) { layers.append(layer) }
        }
        var groups: [ParameterGroup] = []
        for (path, parameter) in all {
            var factor = 1.0
            if let depth = layers.firstIndex(of: String(path.prefix { $0 != "." })) {
                for _ in depth..<layers.count - 1 { factor *= layerDecay }
            }
            if let own = rateFactors.first(where: { PathPattern($0.pattern).matches(path) }) { factor *= own.factor }
            let decay: Double? = decaysVectors || parameter.value.rank > 1 ? nil : 0
            if let index = groups.firstIndex(where: { $0.rateFactor == factor && $0.weightDecay == decay }) {
                groups[index].parameters.append(parameter)
            } else {
                groups.append(ParameterGroup([parameter], rateFactor: factor, weightDecay: decay))
            }
        }
        return groups
    }
}
