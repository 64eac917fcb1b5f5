internal import ArgumentParser
internal import Basics
package import TerminalOutput
internal import Training
internal import Workspaces

struct PipelineImportDVC: Verb {
    static let configuration = CommandConfiguration(
        commandName: "import-dvc", abstract: "Turn a dvc.yaml into a pipeline",
        discussion: """
            Writes pipelines/<name of the folder>.yaml, says line by line what has no counterpart, and checks the result. A
            dvc.yaml stays as it is. Ends with 3 if something of it is missing in the pipeline.

            Examples:
              mlops pipeline import-dvc
              mlops pipeline import-dvc training/dvc.yaml --to pipelines/training.yaml
            """)

    @Argument(help: "The file to read.")
    var file = "dvc.yaml"

    @Option(name: .long, help: ArgumentHelp("Where to write the pipeline.", valueName: "file"))
    var to: String?

    @Flag(name: .long, help: "Print the pipeline and write nothing.")
    var dryRun = false

    @Flag(name: .long, help: "Replace files that are there already.")
    var force = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let report = try workspace.importDVCPipeline(
            file, from: global.workingDirectory, to: to, isDryRun: dryRun, overwrites: force, steps: .builtIn(workspace)
        )
        try console.report(report)
        guard report.failureCount > 0 else { return }
        throw MLOpsError(
            report.stageCount == 0 ? .failed : .partial,
            "\(Format.count(report.failureCount, "thing")) of `\(report.source)` could not be taken over",
            hint: "see the lines above")
    }
}

extension PipelineImportReport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        var lines = remarks.flatMap { remark in
            let word = remark.isFailure ? style("failed", .bad) : style("note", .faint)
            return ["\(word) \(remark.place): \(remark.message)"] + (remark.hint.map { ["  hint: \($0)"] } ?? [])
        }
        if isDryRun {
            lines.append(text)
        } else if stageCount > 0 {
            lines.append(
                "\(style("wrote", .good)) \(files.joined(separator: ", ")): \(Format.count(stageCount, "stage"))")
            lines.append("next: mlops pipeline status \(files[0])")
        }
        return lines.joined(separator: "\n")
    }

    package var essence: String { files.joined(separator: "\n") }
}
