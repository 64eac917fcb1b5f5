internal import ArgumentParser

struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Look into model files, convert and measure them",
        subcommands: [ModelInspect.self, ModelConvert.self, ModelBench.self])
}
