internal import Basics
internal import Pipelines

/// Reads the files that DVC keeps in git.
struct DVCReader {
    /// The project's root, absolute.
    let root: String
    /// What was read, and what could not be.
    private(set) var outputs: [DVCOutput] = []
    private(set) var remarks: [ForeignImport.Remark] = []
    /// The files of which something could not be read, from the project's root.
    private(set) var faultyFiles: Set<String> = []

    init(root: String) { self.root = root }

    private static let limits: YAMLLimits = {
        var limits = YAMLLimits()
        limits.byteCount = 64 << 20
        limits.nodes = 4_000_000
        return limits
    }()

    /// Reads one `.dvc` file or `dvc.lock`, a path from the project's root.
    mutating func read(_ file: String) {
        do {
            let node = try YAML.read(FileSystem.join(root, file), name: file, limits: DVCReader.limits)
            if node.isNull { return }
            if FileSystem.name(of: file) == "dvc.lock" {
                try readLock(try node.map(), file: file)
            } else {
                try readStage(try node.map(), file: file)
            }
        } catch {
            note(file, error, in: file)
        }
    }

    private mutating func note(_ subject: String, _ error: any Error, in file: String) {
        faultyFiles.insert(file)
        let known = error as? MLOpsError
        remarks.append(
            .init(
                subject: subject, message: known?.description ?? String(describing: error), hint: known?.hint,
                isFailure: true))
    }

    private mutating func note(_ subject: String, _ message: String) {
        remarks.append(.init(subject: subject, message: message, isFailure: false))
    }

    // MARK: `.dvc`

    private mutating func readStage(_ map: YAMLMap, file: String) throws {
        let folder = try FileSystem.absolute(map.value("wdir")?.scalarText() ?? ".", from: folder(of: file))
        let source = try map.value("deps")?.list().first.flatMap { try DVCReader.source(of: $0) }
        var notes: [String] = []
        for key in ["desc", "meta", "labels", "type"] where map.value(key) != nil {
            notes.append("`\(key)` has no place in a pointer and is not kept")
        }
        if (try? map.bool("frozen")) == true { notes.append("`frozen` is not kept: `mlops` fetches nothing by itself") }
        if map.value("cmd") != nil { notes.append("`cmd` is not kept: write a stage into `pipelines/`") }
        for out in try map.value("outs")?.list() ?? [] {
            read(out, file: file, folder: folder, source: source, notes: notes)
        }
    }

    /// The address that DVC imported from.
    private static func source(of dependency: YAMLNode) throws -> String? {
        let map = try dependency.map()
        let path = try map.value("path")?.scalarText() ?? ""
        guard let repository = try map.map("repo"), let url = try repository.value("url")?.scalarText() else {
            return path.isEmpty ? nil : withoutCredentials(path)
        }
        let revision = try (repository.value("rev_lock") ?? repository.value("rev"))?.scalarText()
        return withoutCredentials(url) + (path.isEmpty ? "" : "#\(path)") + (revision.map { "@\($0)" } ?? "")
    }

    // MARK: `dvc.lock`

    private mutating func readLock(_ map: YAMLMap, file: String) throws {
        // Schema 1 had the stages at the top.
        let stages = try map.value("stages")?.map() ?? (map.value("schema") == nil ? map : nil)
        let specification = pipeline(beside: file)
        for stage in stages?.entries ?? [] {
            guard let map = try? stage.value.map() else { continue }
            do {
                let settings = try specification.stage(stage.key)
                let folder = FileSystem.absolute(settings.folder ?? ".", from: folder(of: file))
                for out in try map.value("outs")?.list() ?? [] {
                    let path = (try? out.map().value("path")?.scalarText()) ?? ""
                    if settings.keepsWithGit(path) {
                        note("\(file): \(path)", "`cache: false`: git keeps it, so it stays as it is")
                    } else {
                        read(out, file: file, folder: folder, source: "dvc stage \(stage.key)", notes: [])
                    }
                }
            } catch {
                note("\(file): stage \(stage.key)", error, in: file)
            }
        }
    }

    /// What `dvc.yaml` says of a stage that `dvc.lock` does not repeat.
    private struct StageSettings {
        var folder: String?
        /// Whether DVC keeps the outputs, by their paths, which may have `${…}` in them.
        var isCached: [String: Bool] = [:]

        /// Whether the output `path` has `cache: false`. Of several templates that match, the one with most text of its own counts.
        func keepsWithGit(_ path: String) -> Bool {
            if let exact = isCached[path] { return !exact }
            let matching = isCached.compactMap { template, isCached in
                StageSettings.literals(of: template, matching: path).map { (length: $0, isCached: isCached) }
            }
            // Of two that say as much, the one by which the output is imported.
            let best = matching.max { ($0.length, $0.isCached ? 1 : 0) < ($1.length, $1.isCached ? 1 : 0) }
            return best?.isCached == false
        }

        /// The bytes of `template` outside of `${…}`, if `path` has them in their order; nil if not, or if there is no `${…}`.
        private static func literals(of template: String, matching path: String) -> Int? {
            var parts: [Substring] = []
            var rest = template[...]
            while let start = rest.firstRange(of: "${"), let end = rest[start.upperBound...].firstIndex(of: "}") {
                parts.append(rest[..<start.lowerBound])
                rest = rest[rest.index(after: end)...]
            }
            guard let first = parts.first, path.hasPrefix(first) else { return nil }
            var left = path.dropFirst(first.count)
            for part in parts.dropFirst() where !part.isEmpty {
                guard let found = left.firstRange(of: part) else { return nil }
                left = left[found.upperBound...]
            }
            guard left.hasSuffix(rest) else { return nil }
            return parts.reduce(rest.utf8.count) { $0 + $1.utf8.count }
        }
    }

    private struct Specification {
        var stages: YAMLMap?

        func stage(_ name: String) throws -> StageSettings {
            // `train@0` comes from the template `train`.
            let base = String(name.prefix { $0 != "@" })
            guard var map = try (stages?.value(name) ?? stages?.value(base))?.map() else { return StageSettings() }
            if let template = try map.map("do") { map = template }
            let folder = try map.value("wdir")?.scalarText()
            if folder?.contains("${") == true {
                throw MLOpsError(.usage, "`wdir` of the stage has parameters, so its paths are not known")
            }
            var settings = StageSettings(folder: folder)
            for key in ["outs", "metrics", "plots"] {
                for item in (try? map.value(key)?.list()) ?? [] {
                    if let path = try? item.scalarText() { settings.isCached[path] = true }
                    for entry in (try? item.map().entries) ?? [] {
                        settings.isCached[entry.key] = (try? entry.value.map().bool("cache")) != false
                    }
                }
            }
            return settings
        }
    }

    private mutating func pipeline(beside lock: String) -> Specification {
        let file = FileSystem.join(FileSystem.parent(of: lock), "dvc.yaml")
        guard FileSystem.exists(FileSystem.join(root, file)) else { return Specification() }
        do {
            let node = try YAML.read(FileSystem.join(root, file), name: file, limits: DVCReader.limits)
            return Specification(stages: node.isNull ? nil : try node.map().map("stages"))
        } catch {
            note(file, error, in: file)
            return Specification()
        }
    }

    // MARK: One output

    private mutating func read(_ out: YAMLNode, file: String, folder: String, source: String?, notes: [String]) {
        var subject = file
        do {
            let map = try out.map()
            let text = try map.required("path", of: "an entry of `outs`").scalarText()
            subject = "\(file): \(printable(text))"
            if (try? map.bool("cache")) == false {
                return note(subject, "`cache: false`: git keeps it, so it stays as it is")
            }
            guard !text.contains("://") else {
                throw MLOpsError(
                    .usage, "it lies outside of the project",
                    hint: "download it into the project, then run `mlops add`")
            }
            var output = try output(map, path: try path(text, from: folder), file: file)
            output.source = source
            output.notes = notes
            for key in ["desc", "meta", "labels", "type"] where map.value(key) != nil {
                output.notes.append("`\(key)` has no place in a pointer and is not kept")
            }
            if map.value("remote") != nil { output.notes.append("`remote` is not kept: `mlops push` has one for all") }
            if (try? map.bool("push")) == false {
                output.notes.append("`push: false` is not kept: `mlops push` sends it")
            }
            outputs.append(output)
        } catch {
            note(subject, error, in: file)
        }
    }

    private func output(_ map: YAMLMap, path: RelativePath, file: String) throws -> DVCOutput {
        if let kind = try map.value("hash")?.scalarText(), kind != "md5" {
            throw MLOpsError(
                .failed, "its hash is `\(printable(kind))`, not `md5`",
                hint: "run `dvc checkout`, then `mlops add \(path)`")
        }
        let isExecutable = (try? map.bool("isexec")) ?? false
        let files = try map.value("files")?.list().map { item in
            let entry = try item.map()
            return DVCListing.File(
                path: try RelativePath(try entry.required("relpath", of: "a file").scalarText()),
                hash: try checkedHash(try entry.required("md5", of: "a file").scalarText()),
                isExecutable: (try? entry.bool("isexec")) ?? false)
        }
        let text = try map.value("md5")?.scalarText()
        guard text != nil || files != nil else {
            throw MLOpsError(
                .failed, "it has no `md5`", hint: "run `dvc commit` or `dvc checkout`, then `mlops add \(path)`")
        }
        let isFolder = files != nil || text?.hasSuffix(".dir") == true
        let hash = try text.map { try checkedHash($0.hasSuffix(".dir") ? String($0.dropLast(4)) : $0) }
        return DVCOutput(
            file: file, path: path, hash: hash, isFolder: isFolder, ignoresLineEnds: map.value("hash") == nil,
            isExecutable: isExecutable, files: files)
    }

    private func folder(of file: String) -> String { FileSystem.parent(of: FileSystem.join(root, file)) }

    /// - Throws: kind `.usage` for a path outside of the project.
    private func path(_ text: String, from folder: String) throws -> RelativePath {
        if text.utf8.contains(0) { return try RelativePath(text) }
        let absolute = FileSystem.absolute(text, from: folder)
        guard let relative = FileSystem.relative(absolute, to: root), !relative.isEmpty else {
            throw MLOpsError(
                .usage, "path `\(printable(text))` lies outside of the project",
                hint: "move the data into the project, then run `mlops add`")
        }
        return try RelativePath(relative)
    }
}
