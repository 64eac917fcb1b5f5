internal import ArgumentParser
internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
package import TerminalOutput
internal import Workspaces

struct ImportDVC: Verb {
    static let configuration = CommandConfiguration(
        commandName: "import-dvc", abstract: "Take over the data that DVC keeps",
        discussion: """
            Reads the .dvc files and dvc.lock of the work tree, stores their contents after comparing them with their MD5, and
            writes pointers into registry/. Contents come from DVC's cache, its remotes that are folders, the files
            themselves, and else from its S3 remotes, with the settings of .dvc/config (url, endpointurl, profile, region)
            and the usual credentials of AWS. Nothing is checked out, and the .dvc files stay. Earlier commits stay with DVC.

            Examples:
              mlops import-dvc --dry-run
              mlops import-dvc --dvc-remote storage --remove
            """)

    @Flag(name: .long, help: "Only say what would be taken over, and what is missing.")
    var dryRun = false

    @Flag(name: .long, help: "Delete each .dvc file of which everything was taken over.")
    var remove = false

    @Option(
        name: .long, help: ArgumentHelp("Use only this remote of DVC; all of them by default.", valueName: "name"))
    var dvcRemote: String?

    @OptionGroup var transfers: TransferFlags
    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let report = try await console.withByteProgress("importing") { progress in
            try await workspace.importDVC(
                isDryRun: dryRun, removes: remove, remote: dvcRemote, options: transfers.options(console, progress))
        }
        try console.finish(report)
    }
}

struct ImportLFS: Verb {
    static let configuration = CommandConfiguration(
        commandName: "import-lfs", abstract: "Take over the files that Git LFS keeps",
        discussion: """
            Finds the pointers of Git LFS in HEAD, stores their contents out of .git/lfs (or the work tree) after comparing
            them with their SHA-256, writes pointers into registry/, and takes the lines of Git LFS out of .gitattributes.
            Each file becomes an artifact; with --folder all files below it become one. Git's index is left alone: the
            commands to run next are printed. Earlier commits stay with Git LFS.

            Examples:
              mlops import-lfs --dry-run
              git lfs fetch && mlops import-lfs --folder data/images
            """)

    @Option(name: .long, help: ArgumentHelp("Make one artifact of all files below it.", valueName: "dir"))
    var folder: String?

    @Flag(name: .long, help: "Only say what would be taken over, and what is missing.")
    var dryRun = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let workspace = try global.openWorkspace()
        let folder = try folder.map { try workspace.relativePath(of: $0, from: global.workingDirectory) }
        let report = try await console.withByteProgress("importing") { progress in
            try await workspace.importLFS(folder: folder, isDryRun: dryRun, progress: progress)
        }
        try console.finish(report)
    }
}

extension Console {
    /// Prints the report, and throws if something was not taken over.
    fileprivate func finish(_ report: ForeignImport) throws {
        try self.report(report)
        guard report.failureCount > 0 else { return }
        throw MLOpsError(
            report.artifacts.isEmpty ? .failed : .partial,
            "\(Format.count(report.failureCount, "thing")) could not be taken over",
            hint: "see the lines above; what was taken over is not stored again")
    }
}

extension ForeignImport: TextRenderable {
    package func text(_ style: TextStyle) -> String {
        var lines = artifacts.map { artifact in
            let size = "\(Format.count(artifact.fileCount, "file")), \(Format.bytes(artifact.byteCount))"
            let word =
                isDryRun
                ? "would import" : artifact.isUnchanged ? "unchanged" : style("imported", .good)
            return "\(word) \(artifact.artifact) (\(artifact.path): \(size), from \(artifact.source))"
        }
        for remark in remarks {
            let word = remark.isFailure ? style("failed", .bad) : style("note", .faint)
            lines.append("\(word) \(remark.subject): \(remark.message)")
            if let hint = remark.hint { lines.append("  hint: \(hint)") }
        }
        if !removedFiles.isEmpty {
            lines.append("\(isDryRun ? "would remove" : "removed") \(removedFiles.joined(separator: ", "))")
        }
        if !nextCommands.isEmpty, !isDryRun {
            lines.append("next:")
            lines += nextCommands.map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    package var essence: String { artifacts.map(\.artifact.description).joined(separator: "\n") }
}
