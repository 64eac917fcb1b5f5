internal import Basics
internal import CKernels
internal import Synchronization

/// One operation that was applied: where its inputs came from and how a gradient flows back to them.
///
/// `@unchecked Sendable`: nothing changes after `init`, but in `deinit`, when nobody else refers to it, and in `letGo`, whose caller
/// has the graph for itself.
final class GraphNode: @unchecked Sendable {
    /// The gradient of each input, nil where there is none, from the gradient of the output and the output itself.
    typealias Rule = @Sendable (_ gradient: Tensor, _ output: Tensor) throws -> [Tensor?]

    private static let counter = Atomic<UInt64>(0)

    let operation: String
    /// Grows from inputs to outputs, so that descending numbers are an order for the backward pass.
    let number: UInt64
    private(set) var parents: [GraphNode?]
    /// nil for a leaf, and for an operation through which no gradient can flow.
    private(set) var rule: Rule?
    let isLeaf: Bool
    /// The output without its node (which would be a cycle), if the rule asks for it.
    private(set) var output: Tensor?
    /// Whether what the rule needs was given back.
    private(set) var isSpent = false
    /// Of a slice: where it lies in its input. A gradient can be added there without the rule.
    let place: SlicePlace?

    init(
        operation: String, parents: [GraphNode?], isLeaf: Bool, output: Tensor?, place: SlicePlace? = nil, rule: Rule?
    ) {
        self.operation = operation
        self.parents = parents
        self.rule = rule
        self.isLeaf = isLeaf
        self.output = output
        self.place = place
        number = GraphNode.counter.wrappingAdd(1, ordering: .relaxed).newValue
    }

    /// Gives back what only the backward rule needs; no gradient flows through the node afterwards.
    func letGo() {
        guard !isLeaf else { return }
        rule = nil
        output = nil
        isSpent = true
    }

    static func leaf() -> GraphNode {
        GraphNode(operation: "variable", parents: [], isLeaf: true, output: nil, rule: nil)
    }

    /// Frees the nodes that only this one holds one after the other: a chain of a million of them must not recurse.
    deinit {
        guard !isLeaf else { return }
        // Rules hold inputs, and inputs hold nodes, but each of these is among the parents, which are still held.
        rule = nil
        var pending = parents.compactMap(\.self)
        parents = []
        while var node = pending.popLast() {
            guard !node.isLeaf, isKnownUniquelyReferenced(&node) else { continue }
            let rule = node.rule
            node.rule = nil
            let above = node.parents
            node.parents = []
            pending.append(contentsOf: above.lazy.compactMap(\.self))
            withExtendedLifetime(above) { _ = rule }
        }
    }
}

/// `body` without recording operations: what it computes are constants.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    try withRecording(false, body)
}

/// `body` with recording of operations on this thread switched on or off.
func withRecording<Result>(_ isOn: Bool, _ body: () throws -> Result) rethrows -> Result {
    let before = ck_recording()
    ck_set_recording(isOn ? 1 : 0)
    defer { ck_set_recording(before) }
    return try body()
}

/// Whether operations on this thread are recorded now. Backward rules use fused kernels when not.
var isRecording: Bool { ck_recording() != 0 }

/// Whether an operation on these inputs becomes part of the graph. Operations that are called often ask this first, because
/// a rule that nobody wants costs as much as a small kernel. While a profile is made, all are: `recorded` notes them.
func isRecorded(_ first: Tensor, _ second: Tensor? = nil) -> Bool {
    (first.node != nil || second?.node != nil) && isRecording || OperationProfile.isOn
}

extension Tensor {
    /// This node's place in the graph: the output of `operation` on `inputs`, with `rule` for the gradients.
    ///
    /// - Parameter keepsOutput: whether the rule reads its second argument; the output's memory lives on for it then.
    func record(
        _ operation: String, _ output: Tensor, inputs: [Tensor], keepsOutput: Bool = false, place: SlicePlace? = nil,
        rule: @escaping GraphNode.Rule
    ) -> Tensor {
        Tensor.recorded(operation, output, inputs: inputs, keepsOutput: keepsOutput, place: place, rule: rule)
    }

    static func recorded(
        _ operation: String, _ output: Tensor, inputs: [Tensor], keepsOutput: Bool = false, place: SlicePlace? = nil,
        rule: GraphNode.Rule?
    ) -> Tensor {
        guard isRecording, inputs.contains(where: { $0.node != nil }) else {
            if OperationProfile.isOn { OperationProfile.note(operation, inputs, output, node: nil) }
            return output
        }
        var result = output
        let node = GraphNode(
            operation: operation, parents: inputs.map(\.node), isLeaf: false,
            output: keepsOutput ? output.detached : nil, place: place, rule: rule)
        result.node = node
        if OperationProfile.isOn { OperationProfile.note(operation, inputs, output, node: node.number) }
        return result
    }

    /// The names of all operations that this was computed by, for tests.
    package var recordedOperations: Set<String> {
        var names: Set<String> = []
        var seen: Set<ObjectIdentifier> = []
        var pending = node.map { [$0] } ?? []
        while let node = pending.popLast() {
            guard seen.insert(ObjectIdentifier(node)).inserted else { continue }
            names.insert(node.operation)
            pending.append(contentsOf: node.parents.lazy.compactMap(\.self))
        }
        return names
    }

    /// Makes `output`, computed from `inputs` outside of the engine's operations, part of the graph.
    ///
    /// - Parameter backward: gradients of the inputs from that of the output, built from tensor operations (nil entries for
    ///   inputs without one); nil means that the operation has none, and `grad` through it throws.
    public static func custom(
        _ operation: String, output: Tensor, inputs: [Tensor],
        backward: (@Sendable (_ gradient: Tensor) throws -> [Tensor?])?
    ) -> Tensor {
        var rule: GraphNode.Rule?
        if let backward { rule = { gradient, _ in try backward(gradient) } }
        return recorded(operation, output.detached, inputs: inputs, rule: rule)
    }
}
