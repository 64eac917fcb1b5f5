/// What the nodes of an ONNX graph have and cost, as far as the file states the shapes of its values.
struct ONNXCosts {
    private let file: ONNXFile
    private var shapes: [String: [String]] = [:]
    private var weights: [String: [Int]] = [:]

    init(_ file: ONNXFile) {
        self.file = file
        for value in file.values + file.inputs + file.outputs {
            if let shape = value.shape { shapes[value.name] = shape }
        }
        for weight in file.weights { weights[weight.name] = weight.shape }
    }

    /// The nodes; a weight that several share counts for the first.
    var layers: [ModelInspection.Layer] {
        var counted: Set<String> = []
        return file.nodes.map { node in
            let own = node.inputs.filter { weights[$0] != nil && counted.insert($0).inserted }
            let output = node.outputs.first.flatMap { shapes[$0] }
            return ModelInspection.Layer(
                path: node.name.isEmpty ? node.outputs.first ?? "" : node.name,
                type: node.domain.isEmpty || node.domain == "ai.onnx" ? node.type : "\(node.domain).\(node.type)",
                output: output.map { Int($0.first ?? "") == nil ? Array($0.dropFirst()) : $0 },
                parameters: own.reduce(0) { $0 + (weights[$1].flatMap { product($0) } ?? 0) },
                multiplyAdds: multiplyAdds(of: node), operations: nil)
        }
    }

    /// The product; nil if it overflows.
    private func product(_ extents: some Sequence<Int>) -> Int? {
        var product: Int? = 1
        for extent in extents {
            product = product.map { $0.multipliedReportingOverflow(by: extent) }.flatMap {
                $0.overflow ? nil : $0.partialValue
            }
        }
        return product
    }

    /// The numbers of one example: a first axis that the caller chooses is the batch. Nil if another is open.
    private func count(_ shape: [String]?) -> Int? {
        guard var axes = shape?[...] else { return nil }
        if let first = axes.first, Int(first) == nil { axes = axes.dropFirst() }
        let extents = axes.compactMap { Int($0) }
        return extents.count == axes.count ? product(extents) : nil
    }

    /// Of convolutions and matrix products; 0 for other nodes, nil if a shape is not known.
    private func multiplyAdds(of node: ONNXFile.Node) -> Int? {
        guard node.domain.isEmpty || node.domain == "ai.onnx", node.inputs.count >= 2 else { return 0 }
        let weight = weights[node.inputs[1]]
        let depth: Int?
        switch node.type {
        case "Conv": depth = weight.flatMap { product($0.dropFirst()) }
        case "Gemm":
            let isTransposed = node.integers["transB"] == [1]
            depth = weight.flatMap { $0.count == 2 ? $0[isTransposed ? 1 : 0] : nil }
        case "MatMul":
            let inner = weight.flatMap { $0.count >= 2 ? $0[$0.count - 2] : nil }
            depth = inner ?? shapes[node.inputs[0]]?.last.flatMap { Int($0) }
        default: return 0
        }
        guard let depth, let outputs = count(node.outputs.first.flatMap { shapes[$0] }) else { return nil }
        return product([depth, outputs])
    }
}
