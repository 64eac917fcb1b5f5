internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineSchema: Verb {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of pipelines, for editors",
        discussion: """
            A schema of draft 2020-12, with the built-in steps of this version. Editors with the YAML language server use it
            after a first line such as `# yaml-language-server: $schema=../pipeline.schema.json`.

            Example:
              mlops pipeline schema > pipeline.schema.json
            """)

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let steps = try catalog()
        try console.report(SchemaReport(schema: SpecSchema(steps: steps).json))
    }

    /// The steps of this version; none outside of a project.
    private func catalog() throws -> StepCatalog {
        do {
            return .builtIn(try global.openWorkspace())
        } catch let error as MLOpsError where error.kind == .noProject {
            return StepCatalog([])
        }
    }
}

struct SchemaReport: Encodable, TextRenderable {
    var schema: JSONValue

    func encode(to encoder: any Encoder) throws { try schema.encode(to: encoder) }

    func text(_ style: TextStyle) -> String { schema.prettyText }

    var essence: String { schema.prettyText }
}
