internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineGraph: Verb {
    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Draw the stages and what they wait for",
        discussion: """
            Examples:
              mlops pipeline graph pipelines/census.yaml
              mlops pipeline graph pipelines/census.yaml --format mermaid
            """)

    enum Form: String, ExpressibleByArgument, CaseIterable { case text, mermaid }

    @OptionGroup var pipeline: PipelineOptions

    @Option(help: "text, or mermaid for Markdown.")
    var format = Form.text

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let loaded = try workspace.loadPipeline(
            pipeline.file, from: global.workingDirectory, overrides: pipeline.overrides, steps: .builtIn(workspace))
        try console.report(GraphReport(graph: loaded.graph, format: format))
    }
}

struct GraphReport: Encodable, TextRenderable {
    var graph: StageGraph
    var format: PipelineGraph.Form

    func encode(to encoder: any Encoder) throws {
        let stages = graph.order.map { index -> JSONValue in
            [
                "name": .string(graph.names[index]),
                "needs": .array(graph.upstream[index].map { .string(graph.names[$0]) }),
            ]
        }
        try JSONValue.object(["stages": .array(stages)]).encode(to: encoder)
    }

    func text(_ style: TextStyle) -> String { format == .mermaid ? graph.mermaid : graph.text }

    var essence: String { graph.order.map { graph.names[$0] }.joined(separator: "\n") }
}
