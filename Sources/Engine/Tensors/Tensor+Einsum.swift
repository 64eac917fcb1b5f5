internal import Basics

extension Tensor {
    /// Products of `operands` summed over the axes that the result does not have, in Einstein's notation: `bij,bjk->bik`.
    ///
    /// A letter stands for an axis; a letter that comes twice in a term for its diagonal; `...` for any axes, which broadcast.
    /// Without `->` the result has the letters that come once, in alphabetical order. Operands are multiplied from left to right,
    /// each pair by one product of matrices in batches.
    ///
    /// - Throws: if terms and operands do not fit each other.
    public static func einsum(_ equation: String, _ operands: Tensor...) throws -> Tensor {
        try einsum(equation, operands)
    }

    /// The same of an array.
    public static func einsum(_ equation: String, _ operands: [Tensor]) throws -> Tensor {
        let plan = try EinsumEquation(equation, shapes: operands.map(\.shape))
        var terms = try zip(operands, plan.inputs).map { try $0.withoutRepeats($1, plan.extents) }
        while terms.count > 1 {
            let (left, right) = (terms.removeFirst(), terms.removeFirst())
            let kept = Set(plan.output).union(terms.flatMap(\.labels))
            terms.insert(try left.times(right, keeping: kept), at: 0)
        }
        let last = try terms[0].summed(keeping: Set(plan.output))
        return try last.tensor.permuted(plan.output.map { label in last.labels.firstIndex(of: label) ?? 0 })
    }

    /// Axes of extent 1 that others share with a larger extent are repeated; of a letter that comes twice the diagonal stays.
    fileprivate func withoutRepeats(_ labels: [Character], _ extents: [Character: Int]) throws -> EinsumTerm {
        var term = EinsumTerm(
            tensor: try broadcast(to: labels.map { extents[$0] ?? 1 }), labels: labels)
        while let second = term.labels.indices.first(where: { term.labels[..<$0].contains(term.labels[$0]) }),
            let first = term.labels.firstIndex(of: term.labels[second])
        {
            term.tensor = try term.tensor.diagonal(first, second)
            let label = term.labels.remove(at: second)
            term.labels.remove(at: first)
            term.labels.append(label)
        }
        return term
    }
}

/// A tensor and the letters of its axes, each once.
private struct EinsumTerm {
    var tensor: Tensor
    var labels: [Character]

    func summed(keeping kept: Set<Character>) throws -> EinsumTerm {
        let gone = labels.indices.filter { !kept.contains(labels[$0]) }
        if gone.isEmpty { return self }
        return EinsumTerm(tensor: try tensor.sum(axes: gone), labels: labels.filter(kept.contains))
    }

    /// Groups of axes, in this order, as one axis each.
    private func grouped(_ groups: [[Character]]) throws -> Tensor {
        let order = groups.joined().compactMap { labels.firstIndex(of: $0) }
        return try tensor.permuted(order).reshaped(groups.map { extents($0).reduce(1, *) })
    }

    private func extents(_ group: [Character]) -> [Int] {
        group.compactMap { labels.firstIndex(of: $0) }.map { tensor.shape[$0] }
    }

    func times(_ other: EinsumTerm, keeping kept: Set<Character>) throws -> EinsumTerm {
        let left = try summed(keeping: kept.union(other.labels))
        let right = try other.summed(keeping: kept.union(labels))
        let shared = left.labels.filter(right.labels.contains)
        let batch = shared.filter(kept.contains)
        let inner = shared.filter { !kept.contains($0) }
        let rows = left.labels.filter { !shared.contains($0) }
        let columns = right.labels.filter { !shared.contains($0) }
        let product = try left.grouped([batch, rows, inner]).matmul(right.grouped([batch, inner, columns]))
        let shape = left.extents(batch) + left.extents(rows) + right.extents(columns)
        return EinsumTerm(tensor: try product.reshaped(shape), labels: batch + rows + columns)
    }
}

/// An equation in Einstein's notation, checked against the shapes of its operands.
private struct EinsumEquation {
    /// The letters of each operand's axes; those of `...` are made up, the same from the back.
    var inputs: [[Character]] = []
    var output: [Character] = []
    var extents: [Character: Int] = [:]

    init(_ equation: String, shapes: [[Int]]) throws {
        func fault(_ reason: String) -> MLOpsError {
            MLOpsError(
                .failed, "`einsum`: `\(equation)` does not fit shapes \(shapes): \(reason)",
                hint: "write one term of letters an operand, as in `ij,jk->ik`")
        }
        let text = equation.filter { $0 != " " }
        let sides = text.components(between: "->")
        let terms = sides[0].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard sides.count <= 2, terms.count == shapes.count, !shapes.isEmpty else {
            throw fault("it has \(terms.count) terms for \(shapes.count) operands")
        }
        var widest = 0
        for (term, shape) in zip(terms, shapes) {
            let parts = term.components(between: "...")
            let named = parts.reduce(0) { $0 + $1.count }
            guard parts.count <= 2, parts.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isLetter } }) else {
                throw fault("term `\(term)` is not of letters and one `...`")
            }
            guard parts.count == 2 ? named <= shape.count : named == shape.count else {
                throw fault("term `\(term)` is of \(named) axes, its operand of \(shape.count)")
            }
            let free = shape.count - named
            widest = max(widest, free)
            let labels = Array(parts[0]) + (parts.count == 2 ? EinsumEquation.made(free) + Array(parts[1]) : [])
            for (label, extent) in zip(labels, shape) {
                let known = extents[label] ?? 1
                guard known == extent || known == 1 || extent == 1 else {
                    throw fault("axis `\(label)` has extents \(known) and \(extent)")
                }
                extents[label] = max(known, extent == 0 ? 0 : extent)
            }
            inputs.append(labels)
        }
        let all = inputs.joined()
        guard sides.count == 2 else {
            let once = Set(all).filter { label in label.isASCII && all.count(where: { $0 == label }) == 1 }
            output = EinsumEquation.made(widest) + once.sorted()
            return
        }
        let parts = sides[1].components(between: "...")
        guard parts.count <= 2 else { throw fault("the result `\(sides[1])` has more than one `...`") }
        output = Array(parts[0]) + (parts.count == 2 ? EinsumEquation.made(widest) + Array(parts[1]) : [])
        guard Set(output).count == output.count, output.allSatisfy(all.contains) else {
            throw fault("the result `\(sides[1])` has a letter twice or one that no term has")
        }
    }

    /// The letters of `count` axes behind `...`, of which the last is always the same.
    private static func made(_ count: Int) -> [Character] {
        (0..<count).reversed().compactMap { Unicode.Scalar(0xE000 + $0).map(Character.init) }
    }
}

extension String {
    /// What lies between occurrences of `separator`.
    fileprivate func components(between separator: String) -> [String] {
        var parts = [""]
        var rest = self[...]
        while let character = rest.first {
            if rest.hasPrefix(separator) {
                parts.append("")
                rest = rest.dropFirst(separator.count)
            } else {
                parts[parts.count - 1].append(character)
                rest = rest.dropFirst()
            }
        }
        return parts
    }
}
