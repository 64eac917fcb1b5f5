internal import ArgumentParser
internal import TerminalOutput

struct PipelineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Run pipelines and see what they would do",
        subcommands: [
            PipelineRun.self, PipelineStatus.self, PipelineGraph.self, PipelineLint.self, PipelineSteps.self,
            PipelineExport.self, PipelineSchema.self, PipelineImportDVC.self, PipelineComment.self,
        ])
}

/// Which pipeline, with which parameters.
struct PipelineOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The pipeline's file.", valueName: "file"))
    var file: String

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Override a parameter; may be given several times.", valueName: "path=value"))
    var overrides: [String] = []
}
