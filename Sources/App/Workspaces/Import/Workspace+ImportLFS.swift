internal import ArtifactRegistry
package import Basics
package import ContentStorage
internal import GitIntegration

extension Workspace {
    /// A file of HEAD that Git LFS keeps.
    private struct LFSFile {
        var path: RelativePath
        var pointer: LFSPointer
        var source: String
    }

    /// Takes over what Git LFS keeps at HEAD: each file as an artifact, or all files below `folder` as one.
    ///
    /// Contents come from `.git/lfs/objects` or from the work tree, and are compared with their SHA-256 while they are stored.
    /// Git's index is left alone: the report says the commands that hand the files over.
    package func importLFS(
        folder: RelativePath? = nil, isDryRun: Bool = false, progress: ProgressHandler? = nil
    ) async throws -> ForeignImport {
        let git = try requireGit()
        guard try git.head().commit != nil else {
            throw MLOpsError(.notFound, "there is no commit yet", hint: "commit the files that Git LFS tracks first")
        }
        var report = ForeignImport(isDryRun: isDryRun)
        var (found, broken, plain) = try lfsFiles(&report)
        guard !found.isEmpty || report.failureCount > 0 else {
            throw MLOpsError(
                .notFound, "no file of HEAD is kept by Git LFS in `\(root)`",
                hint: "run `git lfs ls-files` to see those of the whole repository")
        }
        let all = found
        if let folder {
            let prefix = Array((folder.description + "/").utf8)
            found = found.filter { $0.path.description.utf8.starts(with: prefix) }
            guard !found.isEmpty else {
                throw MLOpsError(
                    .notFound, "Git LFS keeps no file below `\(folder)`", hint: "run `git lfs ls-files` to see all")
            }
            plain = plain.filter { $0.utf8.starts(with: prefix) }
            if let first = plain.first {
                let more = plain.count > 1 ? " and \(Format.count(plain.count - 1, "more file"))" : ""
                throw MLOpsError(
                    .failed, "`\(printable(first))`\(more) below `\(folder)` is kept by git itself",
                    hint: "move it out of the folder, or import file by file without `--folder`")
            }
        }
        let known = try pointers()
        var names = ImportNames(known)
        var done: Set<RelativePath> = []
        if let folder {
            try await importLFSFolder(folder, found, &names, &done, into: &report, progress: progress)
        } else {
            let recorded = try await recordedFiles(of: known, beside: found.map(\.path))
            for file in found {
                if recorded[file.path] == file.pointer.digest {
                    done.insert(file.path)
                    continue
                }
                try await importLFSFile(file, &names, &done, into: &report, progress: progress)
            }
        }
        try finishLFS(all: all, broken: broken, done: done, folder: folder, into: &report)
        return report
    }

    /// The digests of the files in folders that are artifacts already, as far as one of `paths` lies there.
    private func recordedFiles(
        of pointers: [Pointer], beside paths: [RelativePath]
    ) async throws -> [RelativePath: Digest] {
        var digests: [RelativePath: Digest] = [:]
        for pointer in pointers where pointer.content.kind == .tree {
            let prefix = Array((pointer.path.description + "/").utf8)
            guard paths.contains(where: { $0.description.utf8.starts(with: prefix) }),
                let files = try? await store.listing(of: pointer.content)
            else { continue }
            for file in files {
                if let path = try? pointer.path.appending(file.path) { digests[path] = file.digest }
            }
        }
        return digests
    }

    private func importLFSFolder(
        _ folder: RelativePath, _ files: [LFSFile], _ names: inout ImportNames, _ done: inout Set<RelativePath>,
        into report: inout ForeignImport, progress: ProgressHandler?
    ) async throws {
        let missing = files.filter(\.source.isEmpty)
        for file in missing { noteMissing(file, into: &report) }
        guard missing.isEmpty, report.failureCount == 0 else { return }
        do {
            let name = try names.name(for: folder)
            try await importArtifact(
                name, at: folder, as: .tree,
                files: files.map {
                    foreign($0, path: String($0.path.description.dropFirst(folder.description.count + 1)))
                },
                origin: "git lfs", source: nil, into: &report, progress: progress)
            done.formUnion(files.map(\.path))
        } catch let error as CancellationError {
            throw error
        } catch {
            report.fail(folder.description, error)
        }
    }

    private func importLFSFile(
        _ file: LFSFile, _ names: inout ImportNames, _ done: inout Set<RelativePath>,
        into report: inout ForeignImport, progress: ProgressHandler?
    ) async throws {
        guard !file.source.isEmpty else { return noteMissing(file, into: &report) }
        do {
            let name = try names.name(for: file.path)
            try await importArtifact(
                name, at: file.path, as: .file, files: [foreign(file, path: "")], origin: "git lfs", source: nil,
                into: &report, progress: progress)
            done.insert(file.path)
        } catch let error as CancellationError {
            throw error
        } catch {
            report.fail(file.path.description, error)
        }
    }

    private func foreign(_ file: LFSFile, path: String) -> ForeignFile {
        ForeignFile(
            path: path, source: file.source, isExecutable: isExecutable(file.path.description),
            checksum: .sha256(file.pointer.digest))
    }

    private func noteMissing(_ file: LFSFile, into report: inout ForeignImport) {
        report.fail(
            file.path.description, "its content \(file.pointer.digest) is not here",
            hint: "run `git lfs fetch`, then the same command again")
    }

    // MARK: Finding

    /// The files of HEAD that Git LFS keeps, the paths of those whose pointers cannot be read, and of all other files, all below
    /// the project.
    private func lfsFiles(
        _ report: inout ForeignImport
    ) throws -> (kept: [LFSFile], broken: [String], plain: [String]) {
        let git = try requireGit()
        let prefix = FileSystem.relative(root, to: git.workingTree).map { $0.isEmpty ? "" : $0 + "/" } ?? ""
        let objects = try lfsObjects()
        var kept: [LFSFile] = []
        var broken: [String] = []
        var pointerPaths: Set<[UInt8]> = []
        for (path, bytes) in try git.smallFiles(at: "HEAD", upTo: LFSPointer.longest) {
            guard path.utf8.starts(with: prefix.utf8) else { continue }
            let own = String(decoding: path.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
            do {
                guard let pointer = try LFSPointer(bytes) else { continue }
                pointerPaths.insert(Array(own.utf8))
                guard !own.unicodeScalars.contains("\u{FFFD}") else {
                    throw MLOpsError(.usage, "its name is not UTF-8", hint: "rename it with `git mv`")
                }
                let relative = try RelativePath(own)
                kept.append(
                    LFSFile(path: relative, pointer: pointer, source: lfsSource(pointer, at: relative, objects) ?? ""))
            } catch {
                pointerPaths.insert(Array(own.utf8))
                broken.append(own)
                report.fail(printable(own), error)
            }
        }
        let plain = try git.fileIds(under: prefix.isEmpty ? "" : String(prefix.dropLast()), at: "HEAD").keys
            .map { String(decoding: $0.utf8.dropFirst(prefix.utf8.count), as: UTF8.self) }
            .filter { !pointerPaths.contains(Array($0.utf8)) }.sorted()
        return (kept, broken, plain)
    }

    private func lfsObjects() throws -> String {
        let git = try requireGit()
        let common = try git.commonFolder()
        let configured = try git.configuration("lfs.storage") ?? "lfs"
        return FileSystem.join(FileSystem.absolute(configured, from: common), "objects")
    }

    /// The object of Git LFS, or the file of the work tree if it is as large as the pointer says.
    private func lfsSource(_ pointer: LFSPointer, at path: RelativePath, _ objects: String) -> String? {
        let hex = pointer.digest.hex
        let object = FileSystem.join(objects, "\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)")
        for candidate in [object, absolute(path)] {
            guard let status = try? FileStatus.of(candidate), status.kind == .file, status.size == pointer.byteCount,
                let real = FileSystem.resolved(candidate)
            else { continue }
            // No folder of the work tree may be a link out of it.
            if candidate == object || FileSystem.contains(root, real) { return real }
        }
        return nil
    }

    // MARK: Handing over

    /// Takes the lines of Git LFS that nothing needs any more out of `.gitattributes`, and names git's commands.
    private func finishLFS(
        all: [LFSFile], broken: [String], done: Set<RelativePath>, folder: RelativePath?,
        into report: inout ForeignImport
    ) throws {
        guard !done.isEmpty else { return }
        let rest = all.map(\.path).filter { !done.contains($0) }.map(\.description) + broken
        for name in try attributeFiles() {
            let text = try FileSystem.readText(absolute(name))
            let base = FileSystem.parent(of: name)
            let below =
                base == "."
                ? rest : rest.compactMap { FileSystem.relative($0, to: base) }
            let kept = LFSAttributes.removing(from: text, keepingFor: below)
            if kept == text { continue }
            if !report.isDryRun { try FileSystem.replace(name, below: root, with: Array(kept.utf8)) }
            report.changedFiles.append(name)
        }
        for file in all where done.contains(file.path) {
            guard let status = try FileStatus.of(absolute(file.path)), status.kind == .file,
                status.size != file.pointer.byteCount
            else { continue }
            report.note(
                file.path.description, "the work tree has the pointer of Git LFS here, not the file",
                hint: "run `mlops checkout --force` to have the file")
        }
        let paths = folder.map { [$0.description] } ?? done.map(\.description).sorted()
        report.nextCommands.append("git rm -r --cached -q -- " + gitWords(paths))
        if let words = changedWords(report) { report.nextCommands.append("git add -A -- " + words) }
    }

    private func attributeFiles() throws -> [String] {
        let git = try requireGit()
        let prefix = root == git.workingTree ? "" : String(root.dropFirst(git.workingTree.count + 1))
        let names = try git.fileIds(under: prefix, at: "HEAD").keys.filter {
            $0 == ".gitattributes" || $0.hasSuffix("/.gitattributes")
        }
        return try names.map { prefix.isEmpty ? $0 : String($0.dropFirst(prefix.count + 1)) }.sorted()
            .filter { try FileStatus.of(absolute($0))?.kind == .file }
    }
}
