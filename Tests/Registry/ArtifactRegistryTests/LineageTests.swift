import ArtifactRegistry
import Basics
import Testing

@Suite struct LineageTests {
    /// raw data → two models → a report of the second; and a quantized model of the first.
    private func registry() async throws -> Registry {
        let registry = ScratchRegistry.registry(MemoryStore().log)
        func parent(_ name: String, _ version: Int?, _ content: String) throws -> ArtifactParent {
            ArtifactParent(artifact: try ArtifactName(name), version: version, digest: .of(content))
        }
        func publish(_ name: String, _ content: String, _ parents: ArtifactParent...) async throws {
            _ = try await registry.publish(ArtifactName(name), record(content, parents: parents))
        }
        try await publish("datasets/raw", "raw", parent("datasets/download", nil, "zip"))
        try await publish("models/m", "m1", parent("datasets/raw", 1, "raw"))
        // The version is wrong and the digest right, as after a rebase of the data set.
        try await publish("models/m", "m2", parent("datasets/raw", 7, "raw"))
        try await publish("models/int8", "q", parent("models/m", 1, "m1"))
        try await publish("reports/r", "r", parent("models/m", nil, "m2"), parent("datasets/raw", 1, "raw"))
        return registry
    }

    @Test func walksUpToEverythingThatAVersionWasMadeFrom() async throws {
        let registry = try await registry()
        let graph = try await registry.lineage()
        let report = try await registry.lineageNode(of: ArtifactReference("reports/r"))
        #expect(
            graph.ancestors(of: report).map { "\($0.depth) \($0.node)" } == [
                "1 datasets/raw@v1", "1 models/m@v2", "2 datasets/download (\(Digest.of("zip").short))",
            ])
    }

    @Test func walksDownToEverythingThatWasMadeFromIt() async throws {
        let registry = try await registry()
        let graph = try await registry.lineage()
        let raw = try await registry.lineageNode(of: ArtifactReference("datasets/raw@v1"))
        #expect(
            graph.descendants(of: raw).map { "\($0.depth) \($0.node)" } == [
                "1 models/m@v1", "1 models/m@v2", "1 reports/r@v1", "2 models/int8@v1",
            ])
        #expect(graph.children(of: raw).count == 3)
    }
}
