internal import Basics

/// Reads the top of a `dvc.yaml`; its stages are `DVCStageReader`'s.
struct DVCPipelineReader {
    let root: String
    /// The folder of `dvc.yaml`, relative to the repository; empty for the repository itself.
    let folder: String
    var remarks: [DVCPipelineImport.Remark] = []
    var variables: DVCVariables
    /// Metrics that are named outside of stages, by their paths in the repository.
    private(set) var metrics: [String: SourceLocation] = [:]
    private var names: Set<String> = []

    init(root: String, folder: String) {
        self.root = root
        self.folder = folder == "." ? "" : folder
        variables = DVCVariables(root: root, at: SourceLocation(path: "dvc.yaml", line: 1, column: 1))
    }

    mutating func note(_ location: SourceLocation, _ message: String, hint: String? = nil) {
        remarks.append(.init(location: location, message: message, hint: hint, isFailure: false))
    }

    mutating func fail(_ location: SourceLocation, _ message: String, hint: String? = nil) {
        remarks.append(.init(location: location, message: message, hint: hint, isFailure: true))
    }

    mutating func fail(_ location: SourceLocation, _ error: any Error) {
        let known = error as? MLOpsError
        fail(known?.location ?? location, known?.message ?? "\(error)", hint: known?.hint)
    }

    /// `text` as a path in the repository.
    func path(_ text: String, from folder: String) throws -> String {
        let start = FileSystem.absolute(folder.isEmpty ? "." : folder, from: root)
        let absolute = FileSystem.absolute(text, from: start)
        guard let path = FileSystem.relative(absolute, to: root), !path.isEmpty else {
            throw MLOpsError(
                .usage, "path `\(printable(text))` lies outside of the project",
                hint: "bring the data into the project, with `mlops add` or a stage that downloads it")
        }
        return path
    }

    mutating func read(_ map: YAMLMap, name: String, variablesFile: String) throws -> DVCPipelineImport {
        guard let stages = map.value("stages") else {
            throw MLOpsError(
                .usage, "it has no `stages`", hint: "data alone is taken over by `mlops import-dvc`", at: map.location)
        }
        readVariables(map)
        readTop(map)
        var converted: [(key: String, value: YAMLValue)] = []
        for entry in try stages.map().entries {
            guard let stage = stage(entry) else { continue }
            converted.append((unusedName(entry), .map(stage)))
        }
        for (path, place) in metrics.sorted(by: { $0.key < $1.key }) {
            note(
                place, "the metrics `\(printable(path))` are the output of no stage, or lie inside one",
                hint: "list the file in the `metrics` of its stage, which must write it each time then")
        }
        var keys: [(key: String, value: YAMLValue)] = [("version", 1), ("name", .string(name))]
        var files = variables.files.map(\.text)
        if !variables.inline.isEmpty { files.append(variablesFile) }
        if !files.isEmpty { keys.append(("params", .list(files.map(YAMLValue.string)))) }
        keys.append(("stages", .map(converted)))
        let values = YAMLValue.map(variables.inline.map { (key: $0.key, value: YAMLValue($0.value)) })
        return DVCPipelineImport(
            name: name, stageCount: converted.count, text: YAMLWriter.text(of: .map(keys)),
            variables: variables.inline.isEmpty ? nil : YAMLWriter.text(of: values),
            remarks: remarks.sorted {
                ($0.location.line, $0.location.column ?? 0) < ($1.location.line, $1.location.column ?? 0)
            })
    }

    private mutating func unusedName(_ entry: YAMLEntry) -> String {
        var name = DVCPipelineImport.identifier(entry.key) ?? "stage"
        while !names.insert(name).inserted { name += "_" }
        if name != entry.key { note(entry.keyLocation, "the stage `\(printable(entry.key))` is called `\(name)` here") }
        return name
    }

    /// Takes a metrics file that is named outside of stages for one of a stage.
    mutating func takeMetrics(_ path: String) -> Bool { metrics.removeValue(forKey: path) != nil }

    // MARK: Variables

    private mutating func readVariables(_ map: YAMLMap) {
        // DVC reads it without being asked.
        if let path = try? path("params.yaml", from: folder), FileSystem.exists(FileSystem.join(root, path)),
            let reason = variables.add(path, at: map.location)
        {
            fail(map.location, "the values of `\(path)` cannot be used: \(reason)")
        }
        for item in (try? map.value("vars")?.list()) ?? [] {
            switch item.content {
            case .string(let text):
                let name = String(text.prefix { $0 != ":" })
                do {
                    let path = try path(name, from: folder)
                    if let reason = variables.add(path, at: item.location) {
                        fail(item.location, "the variables of `\(path)` cannot be used: \(reason)")
                    }
                } catch { fail(item.location, error) }
            case .map(let entries):
                if let reason = variables.add(entries, at: item.location) { fail(item.location, reason) }
            default: fail(item.location, item.expected("a file or a map of variables"))
            }
        }
    }

    // MARK: Other keys of the top

    private mutating func readTop(_ map: YAMLMap) {
        for entry in map.entries {
            switch entry.key {
            case "stages", "vars", "schema": break
            case "params":
                for item in (try? entry.value.list()) ?? [] {
                    guard let text = try? item.string(), let path = try? path(text, from: folder) else { continue }
                    note(
                        item.location, "`\(path)` is not read as parameters, as no stage uses it",
                        hint: "add it to `params` if it should be shown and set with `--set`")
                }
            case "metrics":
                for item in (try? entry.value.list()) ?? [] {
                    let text = (try? item.string()) ?? (try? item.map().entries.first?.key)
                    if let text, let path = try? path(text, from: folder) { metrics[path] = item.location }
                }
            case "plots":
                note(entry.keyLocation, "definitions of plots are not kept: the files stay outputs of their stages")
            case "artifacts":
                for artifact in (try? entry.value.map().entries) ?? [] {
                    note(
                        artifact.keyLocation, "the artifact `\(printable(artifact.key))` is not recorded",
                        hint: "publish it with a stage that `uses: push`")
                }
            default: fail(entry.keyLocation, "`\(printable(entry.key))` has no counterpart")
            }
        }
    }
}
