package import Basics

/// A version, or an unpublished content, in the graph of what was made from what.
package struct LineageNode: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    package var artifact: ArtifactName
    /// nil for content that was never published.
    package var version: Int?
    package var digest: Digest

    package init(artifact: ArtifactName, version: Int?, digest: Digest) {
        self.artifact = artifact
        self.version = version
        self.digest = digest
    }

    init(_ artifact: ArtifactName, _ record: VersionRecord) {
        self.init(artifact: artifact, version: record.version, digest: record.content.digest)
    }

    package var description: String {
        version.map { "\(artifact)@v\($0)" } ?? "\(artifact) (\(digest.short))"
    }

    package static func < (left: LineageNode, right: LineageNode) -> Bool {
        (left.artifact, left.version ?? 0, left.digest) < (right.artifact, right.version ?? 0, right.digest)
    }
}

/// A node as a walk reaches it.
package struct LineageStep: Hashable, Sendable, Codable {
    package var node: LineageNode
    /// How many steps from the start: 1 for a parent or a child.
    package var depth: Int
    /// The node nearer to the start from which it was first reached.
    package var from: LineageNode
}

/// What was made from what, over all versions that are not withdrawn.
package struct LineageGraph: Sendable {
    private var parentsOf: [LineageNode: [LineageNode]] = [:]
    private var childrenOf: [LineageNode: [LineageNode]] = [:]

    package init(_ histories: [ArtifactHistory]) {
        let byName = Dictionary(histories.map { ($0.artifact, $0) }, uniquingKeysWith: { first, _ in first })
        for history in histories {
            for record in history.versions where history.withdrawn[record.version] == nil {
                let child = LineageNode(history.artifact, record)
                for parent in record.parents {
                    let node = LineageGraph.node(of: parent, in: byName[parent.artifact])
                    parentsOf[child, default: []].append(node)
                    childrenOf[node, default: []].append(child)
                }
            }
        }
    }

    /// The version that a parent means: the one that it names if that has the digest, else the first that has it.
    private static func node(of parent: ArtifactParent, in history: ArtifactHistory?) -> LineageNode {
        let named = parent.version.flatMap { history?.version($0) }
        let record =
            named?.content.digest == parent.digest
            ? named : history?.versions.first { $0.content.digest == parent.digest }
        return LineageNode(artifact: parent.artifact, version: record?.version, digest: parent.digest)
    }

    /// What `node` was made from, directly, sorted.
    package func parents(of node: LineageNode) -> [LineageNode] { (parentsOf[node] ?? []).sorted() }

    /// What was made from `node`, directly, sorted.
    package func children(of node: LineageNode) -> [LineageNode] { (childrenOf[node] ?? []).sorted() }

    /// Everything that `node` was made from, nearest first, each once.
    package func ancestors(of node: LineageNode) -> [LineageStep] { walk(from: node, parents(of:)) }

    /// Everything that was made from `node`, nearest first, each once.
    package func descendants(of node: LineageNode) -> [LineageStep] { walk(from: node, children(of:)) }

    private func walk(from start: LineageNode, _ neighbours: (LineageNode) -> [LineageNode]) -> [LineageStep] {
        var seen: Set<LineageNode> = [start]
        var steps: [LineageStep] = []
        var frontier = [start]
        var depth = 1
        while !frontier.isEmpty {
            var next: [LineageNode] = []
            for node in frontier {
                for neighbour in neighbours(node) where seen.insert(neighbour).inserted {
                    steps.append(LineageStep(node: neighbour, depth: depth, from: node))
                    next.append(neighbour)
                }
            }
            frontier = next
            depth += 1
        }
        return steps
    }
}

extension Registry {
    /// The graph over all artifacts of the log.
    package func lineage() async throws -> LineageGraph { LineageGraph(try await histories()) }

    /// The node of the version that `reference` names.
    package func lineageNode(of reference: ArtifactReference) async throws -> LineageNode {
        LineageNode(reference.artifact, try await resolve(reference))
    }
}
