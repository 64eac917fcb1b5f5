internal import ArtifactRegistry
internal import Basics
internal import ContentStorage
internal import GitIntegration
package import Remotes

extension Workspace {
    /// Takes over what DVC keeps: the outputs of all `.dvc` files and of `dvc.lock` as they are in the work tree.
    ///
    /// Contents come from DVC's cache, from its remotes that are folders, from the work tree, or else from its buckets, and are
    /// compared with their MD5 while they are stored; nothing is checked out. Earlier commits keep DVC's files, which DVC goes
    /// on to understand. What was fetched stays below `.mlops/cache/dvc` until everything was taken over.
    ///
    /// - Parameters:
    ///   - isDryRun: only looks whether everything is there; of buckets only listings are fetched.
    ///   - removes: deletes each `.dvc` file of which everything was taken over.
    ///   - remote: DVC's name of the only remote to use; nil for all, its default one first.
    package func importDVC(
        isDryRun: Bool = false, removes: Bool = false, remote: String? = nil,
        options: TransferOptions = TransferOptions()
    ) async throws -> ForeignImport {
        let fetch = DVCFetch(
            folder: FileSystem.join(self.folder, "cache/dvc"), environment: environment.variables, options: options)
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
        var incomplete = reader.faultyFiles
        // A wrong name of a remote is told once, not for each output.
        if let first = reader.outputs.first { _ = try dvcSettings(for: first.file, remote, fetch, &settings) }
        for output in reader.outputs {
            let subject = "\(output.file): \(output.path)"
            do {
                let isDone = try await importOutput(
                    output, settings: try dvcSettings(for: output.file, remote, fetch, &settings), fetch: fetch,
                    names: &names, subject: subject, into: &report, progress: options.progress)
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
        if report.failureCount == 0 { try FileSystem.removeTree(fetch.folder) }
        report.nextCommands = changedWords(report).map { ["git add -A -- " + $0] } ?? []
        return report
    }

    /// False if the output stays with DVC or git.
    private func importOutput(
        _ output: DVCOutput, settings: DVCSettings, fetch: DVCFetch, names: inout ImportNames, subject: String,
        into report: inout ForeignImport, progress: ProgressHandler?
    ) async throws -> Bool {
        if let git = try git, try git.isTracked(absolute(output.path)) {
            report.note(subject, "git tracks it, so it stays as it is")
            return false
        }
        var found = try foreignFiles(of: output, settings: settings)
        var distantBytes: Int64 = 0
        // The listing first, then what it lists.
        for _ in 0..<2 where !found.missing.isEmpty && !settings.distant.isEmpty {
            let items = found.missing.compactMap(\.item)
            if report.isDryRun, !items.contains(where: \.isListing) {
                let sizes = try await fetch.sizes(of: items, in: settings.distant)
                distantBytes = sizes.values.reduce(0, +)
                found.distantCount = sizes.count
                found.missing.removeAll { $0.item.map { sizes[$0] != nil } ?? false }
                break
            }
            try await fetch.fetch(items, from: settings.distant)
            found = try foreignFiles(of: output, settings: settings)
        }
        if let first = found.missing.first {
            let more = found.missing.count > 1 ? " and \(Format.count(found.missing.count - 1, "more file"))" : ""
            let place = settings.distant.isEmpty ? "DVC's cache" : "DVC's cache or `\(settings.distant[0].shownURL)`"
            report.fail(
                subject, "the content of `\(first.path)`\(more) is not in \(place)",
                hint: settings.distant.isEmpty
                    ? "run `dvc fetch \(output.path)` or `dvc commit \(output.path)`, then the same command again"
                    : "run `dvc push \(output.path)` where the data is, then the same command again")
            return false
        }
        let name = try names.name(for: output.path)
        try await importArtifact(
            name, at: output.path, as: output.isFolder ? .tree : .file, files: found.files, origin: output.file,
            source: output.source, into: &report, progress: progress)
        if report.isDryRun, let last = report.artifacts.indices.last {
            report.artifacts[last].fileCount += found.distantCount
            report.artifacts[last].byteCount += distantBytes
        }
        for note in output.notes { report.note(subject, note) }
        if try hasLinks(output) {
            report.note(
                subject, "the files here are links into DVC's cache",
                hint: "run `mlops checkout --force \(name)` to have files instead, before the cache is removed")
        }
        return true
    }

    /// The files of an output with the places of their bytes, and those that are nowhere here.
    private struct FoundFiles {
        var files: [ForeignFile] = []
        var missing: [(path: String, item: DVCFetch.Item?)] = []
        /// Files that a bucket has, in a dry run.
        var distantCount = 0
    }

    private func foreignFiles(of output: DVCOutput, settings: DVCSettings) throws -> FoundFiles {
        var found = FoundFiles()
        func add(_ path: String, _ place: String, _ hash: String, isExecutable: Bool) {
            if let source = source(of: hash, at: place, settings) {
                found.files.append(file(path, source, hash, output, isExecutable: isExecutable))
            } else {
                found.missing.append((place, DVCFetch.Item(hash: hash, isOld: output.ignoresLineEnds)))
            }
        }
        guard output.isFolder else {
            let place = output.path.description
            if let hash = output.hash {
                add("", place, hash, isExecutable: output.isExecutable)
            } else {
                found.missing.append((place, nil))
            }
            return found
        }
        let listed: [DVCListing.File]
        if let files = output.files {
            listed = files
        } else {
            guard let hash = output.hash, let source = settings.source(of: hash, suffix: ".dir") else {
                let item = output.hash.map { DVCFetch.Item(hash: $0, isListing: true, isOld: output.ignoresLineEnds) }
                found.missing.append((output.path.description + "/ (its listing)", item))
                return found
            }
            listed = try DVCListing(readingFrom: source, hash: hash).files
        }
        for entry in listed {
            let path = "\(output.path)/\(entry.path)"
            add(
                entry.path.description, path, entry.hash, isExecutable: entry.isExecutable || isExecutable(path))
        }
        return found
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
        guard let real = FileSystem.resolved(absolute(path)), FileSystem.contains(root, real) else {
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
                if let git = try git, try git.isIgnored(absolute(path)) { continue }
                try collectDVCFiles(in: path, depth: depth + 1, into: &files)
            case .file where name.hasSuffix(".dvc") || name == "dvc.lock": files.append(path)
            default: break
            }
        }
    }

    /// The settings of the nearest `.dvc/` above `file`.
    private func dvcSettings(
        for file: String, _ remote: String?, _ fetch: DVCFetch, _ known: inout [String: DVCSettings]
    ) throws -> DVCSettings {
        var folder = FileSystem.parent(of: absolute(file))
        while folder != "/", !FileSystem.isDirectory(FileSystem.join(folder, ".dvc")) {
            folder = FileSystem.parent(of: folder)
        }
        if let settings = known[folder] { return settings }
        let home = environment.variables["XDG_CONFIG_HOME"] ?? environment.variables["HOME"].map { $0 + "/.config" }
        let settings = try DVCSettings(
            root: folder, userFile: home.map { $0 + "/dvc/config" }, remote: remote, fetched: fetch.folder)
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
