internal import ArtifactRegistry
internal import Basics
package import ContentStorage
internal import GitIntegration

extension Workspace {
    /// Takes over what DVC keeps: the outputs of all `.dvc` files and of `dvc.lock` as they are in the work tree.
    ///
    /// Contents come from DVC's cache, from remotes that are folders, or from the work tree, and are compared with their MD5
    /// while they are stored; nothing is checked out. Earlier commits keep DVC's files, which DVC goes on to understand.
    ///
    /// - Parameters:
    ///   - isDryRun: only looks whether everything is there.
    ///   - removes: deletes each `.dvc` file of which everything was taken over.
    package func importDVC(
        isDryRun: Bool = false, removes: Bool = false, progress: ProgressHandler? = nil
    ) async throws -> ForeignImport {
        var report = ForeignImport(isDryRun: isDryRun)
        var files: [String] = []
        try collectDVCFiles(in: "", depth: 0, into: &files)
        guard !files.isEmpty else {
            throw MLOpsError(
                .notFound, "there is no `.dvc` file and no `dvc.lock` in `\(root)`",
                hint: "run it in the project that DVC keeps data of")
        }
        var reader = DVCReader(root: root)
        for file in files { reader.read(file) }
        report.remarks = reader.remarks
        var names = ImportNames(try pointers())
        var settings: [String: DVCSettings] = [:]
        var incomplete = Set(
            reader.remarks.filter(\.isFailure).map { $0.subject.prefix { $0 != ":" } }.map(String.init))
        for output in reader.outputs {
            let subject = "\(output.file): \(output.path)"
            do {
                let isDone = try await importOutput(
                    output, settings: try dvcSettings(for: output.file, &settings), names: &names, subject: subject,
                    into: &report, progress: progress)
                if !isDone { incomplete.insert(output.file) }
            } catch let error as CancellationError {
                throw error
            } catch {
                report.fail(subject, error)
                incomplete.insert(output.file)
            }
        }
        if removes {
            for file in files where file.hasSuffix(".dvc") && !incomplete.contains(file) {
                if !isDryRun { try FileSystem.removeFile(absolute(file)) }
                report.removedFiles.append(file)
            }
        }
        report.nextCommands = changedWords(report).map { ["git add -A -- " + $0] } ?? []
        return report
    }

    /// False if the output stays with DVC or git.
    private func importOutput(
        _ output: DVCOutput, settings: DVCSettings, names: inout ImportNames, subject: String,
        into report: inout ForeignImport, progress: ProgressHandler?
    ) async throws -> Bool {
        if let git, try git.isTracked(absolute(output.path)) {
            report.note(subject, "git tracks it, so it stays as it is")
            return false
        }
        let (files, missing) = try foreignFiles(of: output, settings: settings)
        if let first = missing.first {
            let more = missing.count > 1 ? " and \(Format.count(missing.count - 1, "more file"))" : ""
            let hint =
                settings.distant.isEmpty
                ? "run `dvc fetch \(output.path)` or `dvc commit \(output.path)`, then the same command again"
                : "run `dvc fetch \(output.path)`, which gets it from \(settings.distant[0]), then the same command again"
            report.fail(subject, "the content of `\(first)`\(more) is not in DVC's cache", hint: hint)
            return false
        }
        let name = try names.name(for: output.path)
        try await importArtifact(
            name, at: output.path, as: output.isFolder ? .tree : .file, files: files, origin: output.file,
            source: output.source, into: &report, progress: progress)
        for note in output.notes { report.note(subject, note) }
        if try hasLinks(output) {
            report.note(
                subject, "the files here are links into DVC's cache",
                hint: "run `mlops checkout --force \(name)` to have files instead, before the cache is removed")
        }
        return true
    }

    /// The files of an output with the places of their bytes; and the paths of those that are nowhere.
    private func foreignFiles(
        of output: DVCOutput, settings: DVCSettings
    ) throws -> (files: [ForeignFile], missing: [String]) {
        guard output.isFolder else {
            guard let hash = output.hash else { return ([], [output.path.description]) }
            guard let source = source(of: hash, at: output.path.description, settings) else {
                return ([], [output.path.description])
            }
            return ([file("", source, hash, output, isExecutable: output.isExecutable)], [])
        }
        let listed: [DVCListing.File]
        if let files = output.files {
            listed = files
        } else {
            guard let hash = output.hash, let source = settings.source(of: hash, suffix: ".dir") else {
                return ([], [output.path.description + "/ (its listing)"])
            }
            listed = try DVCListing(readingFrom: source, hash: hash).files
        }
        var files: [ForeignFile] = []
        var missing: [String] = []
        for entry in listed {
            let path = "\(output.path)/\(entry.path)"
            if let source = source(of: entry.hash, at: path, settings) {
                files.append(
                    file(
                        entry.path.description, source, entry.hash, output,
                        isExecutable: entry.isExecutable || isExecutable(path)))
            } else {
                missing.append(path)
            }
        }
        return (files, missing)
    }

    private func file(
        _ path: String, _ source: String, _ hash: String, _ output: DVCOutput, isExecutable: Bool
    ) -> ForeignFile {
        ForeignFile(
            path: path, source: source, isExecutable: isExecutable,
            checksum: output.ignoresLineEnds ? .md5IgnoringLineEnds(hash) : .md5(hash))
    }

    /// The cache's file, or the work tree's, which is compared with the MD5 as well.
    private func source(of hash: String, at path: String, _ settings: DVCSettings) -> String? {
        if let cached = settings.source(of: hash) { return cached }
        guard let status = try? FileStatus.of(absolute(path)), status.kind == .file else { return nil }
        // No folder above may be a link out of the project.
        guard let real = FileSystem.resolved(absolute(path)), real.utf8.starts(with: (root + "/").utf8) else {
            return nil
        }
        return real
    }

    private func hasLinks(_ output: DVCOutput) throws -> Bool {
        let path = absolute(output.path)
        guard let status = try FileStatus.of(path) else { return false }
        guard status.kind == .directory else { return status.kind == .symlink }
        return try FileSystem.list(path).prefix(100).contains {
            try FileStatus.of(FileSystem.join(path, $0))?.kind == .symlink
        }
    }

    // MARK: Finding DVC's files

    private static let deepest = 64

    private func collectDVCFiles(in folder: String, depth: Int, into files: inout [String]) throws {
        guard depth < Workspace.deepest else { return }
        for name in try FileSystem.list(folder.isEmpty ? root : absolute(folder)) {
            let path = FileSystem.join(folder, name)
            if [".git", ".dvc", ".mlops"].contains(name) { continue }
            switch try FileStatus.of(absolute(path))?.kind {
            case .directory:
                // The data themselves are ignored by git, and may be many.
                if let git, try git.isIgnored(absolute(path)) { continue }
                try collectDVCFiles(in: path, depth: depth + 1, into: &files)
            case .file where name.hasSuffix(".dvc") || name == "dvc.lock": files.append(path)
            default: break
            }
        }
    }

    /// The settings of the nearest `.dvc/` above `file`.
    private func dvcSettings(for file: String, _ known: inout [String: DVCSettings]) throws -> DVCSettings {
        var folder = FileSystem.parent(of: absolute(file))
        while folder != "/", !FileSystem.isDirectory(FileSystem.join(folder, ".dvc")) {
            folder = FileSystem.parent(of: folder)
        }
        if let settings = known[folder] { return settings }
        let home = environment.variables["XDG_CONFIG_HOME"] ?? environment.variables["HOME"].map { $0 + "/.config" }
        let settings = try DVCSettings(root: folder, userFile: home.map { $0 + "/dvc/config" })
        known[folder] = settings
        return settings
    }
}

extension Workspace {
    /// The changed files as words for git, pointers by their folder; nil if nothing changed.
    func changedWords(_ report: ForeignImport) -> String? {
        let others = report.changedFiles.filter { !$0.hasPrefix("registry/") }.sorted()
        let pointers = others.count < report.changedFiles.count ? ["registry"] : []
        let all = pointers + others + (report.isDryRun ? [] : report.removedFiles)
        return all.isEmpty ? nil : gitWords(all)
    }
}

/// `paths` as words of a shell, few enough to be read.
func gitWords(_ paths: [String]) -> String {
    paths.map { path in
        path.utf8.allSatisfy({ byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "/._-".utf8.contains(byte)
        }) ? path : shellQuoted(path)
    }.joined(separator: " ")
}
