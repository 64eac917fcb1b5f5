internal import ArgumentParser
internal import Basics
internal import Pipelines
internal import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineExport: Verb {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a pipeline as a manifest for a cluster or a CI service",
        discussion: """
            Each stage becomes a job in a container of its `image`. The jobs start in the
            pipeline's order and hand over what they made through the remote.

            Examples:
              mlops pipeline export pipelines/p.yaml --to argo --image example/mlops:1
              mlops pipeline export pipelines/p.yaml --to github -o ci.yaml
            """)

    @OptionGroup var pipeline: PipelineOptions

    @Option(help: "kubernetes, argo, github or gitlab.")
    var to: ExportTarget

    @Option(name: .shortAndLong, help: ArgumentHelp("Write to this file.", valueName: "file"))
    var output: String?

    @Option(help: ArgumentHelp("The image of stages that name none; it holds `mlops`.", valueName: "image"))
    var image: String?

    @Option(help: ArgumentHelp("Where containers clone the project from; git's `origin` by default.", valueName: "url"))
    var repository: String?

    @Option(help: ArgumentHelp("The remote to hand results over through.", valueName: "name"))
    var remote: String?

    @Option(help: ArgumentHelp("The Secret with secrets and credentials (kubernetes, argo).", valueName: "name"))
    var secret = "mlops"

    @Option(help: ArgumentHelp("The namespace (kubernetes, argo).", valueName: "name"))
    var namespace: String?

    @Option(
        help: ArgumentHelp("The claim of the volume with the folder remote (kubernetes, argo).", valueName: "claim"))
    var volume: String?

    @Option(help: ArgumentHelp("The label of the runners (github).", valueName: "label"))
    var runner = "ubuntu-latest"

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let loaded = try workspace.loadPipeline(
            pipeline.file, from: global.workingDirectory, overrides: pipeline.overrides, steps: .builtIn(workspace))
        var options = ExportOptions()
        options.image = image
        options.repository = repository
        options.secret = secret
        options.namespace = namespace
        options.volumeClaim = volume
        options.runner = runner
        options.overrides = pipeline.overrides
        let (text, notes) = try workspace.manifest(of: loaded, for: to, remoteName: remote, options: options)
        for note in notes { console.note(note) }
        if let output {
            let path = FileSystem.absolute(output, from: global.workingDirectory)
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            try FileSystem.replace(path, with: Array(text.utf8))
        }
        try console.report(ExportReport(target: to.rawValue, output: output, manifest: text, notes: notes))
    }
}

extension ExportTarget: ExpressibleByArgument {}

struct ExportReport: Encodable, TextRenderable {
    var target: String
    /// nil if the manifest goes to standard output.
    var output: String?
    var manifest: String
    var notes: [String]

    func text(_ style: TextStyle) -> String {
        output.map { "wrote `\($0)`" } ?? String(manifest.hasSuffix("\n") ? manifest.dropLast() : manifest[...])
    }

    var essence: String { output ?? String(manifest.dropLast()) }
}
