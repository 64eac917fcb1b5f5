import Basics
import Foundation
import Testing

@testable import Pipelines

/// The schema and Documentation/pipelines.md against the keys that the reader knows.
@Suite struct SpecSchemaTests {
    private let schema = SpecSchema(steps: StepCatalog(TestStep.all)).json

    private func keys(_ path: String...) -> Set<String> {
        var node = schema
        for part in path { node = Int(part).flatMap { node.array?[$0] } ?? node[part] ?? .null }
        return Set((node.object ?? [:]).keys)
    }

    @Test func theSchemaNamesExactlyTheKeysThatAreRead() {
        #expect(keys("properties") == Set(PipelineSpec.keys))
        #expect(keys("$defs", "stage", "properties") == Set(StageSpec.keys))
        #expect(
            keys("$defs", "retries", "anyOf", "2", "properties") == Set(StageSettingsReader.retryKeys))
        #expect(keys("$defs", "resources", "properties") == Set(StageSettingsReader.resourceKeys))
        #expect(keys("$defs", "output", "oneOf", "1", "properties") == Set(StageSettingsReader.outputKeys))
        #expect(
            keys("$defs", "executor", "anyOf", "0", "oneOf", "1", "properties")
                == Set(Executor.Name.allCases.map(\.rawValue)))
    }

    @Test func thePageOfPipelinesHasAnExampleOfEachKeyThatCanBeRead() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let page = try FileSystem.readText(root.appending(path: "Documentation/pipelines.md").path())
        var examples: Set<String> = []
        for block in page.components(separatedBy: "```yaml\n").dropFirst() {
            let text = block.components(separatedBy: "```")[0]
            let node = try YAML.parse(text, file: "pipelines.md")
            func collect(_ node: YAMLNode) {
                guard case .map(let entries) = node.content else { return }
                for entry in entries {
                    examples.insert(entry.key)
                    collect(entry.value)
                }
            }
            collect(node)
        }
        for key in PipelineSpec.keys + StageSpec.keys { #expect(examples.contains(key), "no example of \(key)") }
    }
}
