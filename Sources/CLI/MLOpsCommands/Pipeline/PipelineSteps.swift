internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineSteps: Verb {
    static let configuration = CommandConfiguration(
        commandName: "steps", abstract: "List the built-in steps and what their `with:` may hold",
        discussion: """
            Examples:
              mlops pipeline steps
              mlops pipeline steps train
            """)

    @Argument(help: "A step; all by default.")
    var step: String?

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let catalog = StepCatalog.builtIn(try global.openWorkspace())
        if let step, catalog[step] == nil {
            throw MLOpsError(
                .notFound, "there is no step `\(printable(step))`",
                hint: nearestName(to: step, among: catalog.names).map { "did you mean `\($0)`?" }
                    ?? "run `mlops pipeline steps` to see all")
        }
        let chosen = catalog.steps.filter { step == nil || $0.name == step }
        try console.report(StepListing(steps: chosen.map(ListedStep.init)))
    }
}

struct ListedStep: Encodable {
    struct Parameter: Encodable {
        var name: String
        var type: StepParameter.Kind
        var isRequired: Bool
        var defaultValue: JSONValue?
        var documentation: String
    }

    var name: String
    var summary: String
    var parameters: [Parameter]

    init(_ step: any BuiltInStep) {
        name = step.name
        summary = step.summary
        parameters = step.parameters.map {
            Parameter(
                name: $0.name, type: $0.kind, isRequired: $0.isRequired, defaultValue: $0.defaultValue,
                documentation: $0.documentation)
        }
    }
}

struct StepListing: Encodable, TextRenderable {
    var steps: [ListedStep]

    func text(_ style: TextStyle) -> String {
        steps.map { step in
            var table = Table(titles: ["", "", "", ""])
            for parameter in step.parameters {
                let note =
                    parameter.isRequired
                    ? "required" : parameter.defaultValue.map { "default \($0.canonicalText)" } ?? ""
                table.add(
                    .init("  " + parameter.name), .init(parameter.type.rawValue), .init(note),
                    .init(parameter.documentation))
            }
            return
                "\(style(step.name, .heading)): \(step.summary)\n\(table.text(TextStyle(usesColor: style.usesColor)))"
        }.joined(separator: "\n")
    }

    var essence: String { steps.map(\.name).joined(separator: "\n") }
}
