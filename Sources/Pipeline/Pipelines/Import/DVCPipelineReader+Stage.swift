internal import Basics

extension DVCPipelineReader {
    private typealias Keys = [(key: String, value: YAMLValue)]

    /// The keys of a stage, or nil after a failure that leaves nothing to run.
    mutating func stage(_ entry: YAMLEntry) -> [(key: String, value: YAMLValue)]? {
        do {
            var map = try entry.value.map()
            var keys: Keys = []
            var template = DVCTemplate(parameters: variables.parameters, locals: ParameterSet(empty: map.location))
            if let foreach = map.value("foreach") {
                keys.append(("foreach", try template.value(foreach)))
                template.loop = .foreach
                map = try map.required("do", of: "a stage with `foreach`").map()
            } else if let matrix = map.value("matrix") {
                keys.append(("matrix", try template.value(matrix)))
                template.loop = .matrix
                note(
                    entry.keyLocation,
                    "its variants are called `\(entry.key)@key=value` here, by the keys of the matrix")
            }
            readLocals(map, &template)
            let folder = try map.value("wdir").map { try wholeText($0, template) } ?? "."
            let place = try? path(folder, from: self.folder)
            let inner = folder == "." ? self.folder : place ?? self.folder
            guard let command = map.value("cmd") else {
                throw MLOpsError(.usage, "the stage has no `cmd`", at: entry.keyLocation)
            }
            var reader = DVCCommand(template: template, folder: inner)
            keys.append(("run", try reader.run(command)))
            for text in reader.notes { note(command.location, text) }
            let context = Context(template: template, folder: inner)
            readRest(map, context, &keys)
            return keys
        } catch {
            fail(entry.keyLocation, error)
            return nil
        }
    }

    /// What the keys of one stage are read with.
    private struct Context {
        var template: DVCTemplate
        /// The folder that its paths are relative to.
        var folder: String
    }

    /// A text whose references all have values already.
    private func wholeText(_ node: YAMLNode, _ template: DVCTemplate) throws -> String {
        try template.pieces(of: node.scalarText(), at: node.location).map { piece -> String in
            switch piece {
            case .text(let text): return text
            case .literal(let value): return try value.scalarText()
            case .reference(let name, let value):
                guard let value else {
                    throw MLOpsError(
                        .usage, "`wdir` depends on `${\(name)}`, which differs from variant to variant",
                        hint: "write the folder into the command: `cd …`", at: node.location)
                }
                return try value.scalarText()
            }
        }.joined()
    }

    private mutating func readLocals(_ map: YAMLMap, _ template: inout DVCTemplate) {
        var local = DVCVariables(root: root, at: map.location)
        for item in (try? map.value("vars")?.list()) ?? [] {
            do {
                switch item.content {
                case .string(let text):
                    let path = try path(String(text.prefix { $0 != ":" }), from: folder)
                    if let reason = local.add(path, at: item.location) { throw MLOpsError(.usage, reason) }
                    note(
                        item.location, "the values of `\(path)` are written out where the stage uses them",
                        hint: "they change when the file does only after another import")
                case .map(let entries):
                    if let reason = local.add(entries, at: item.location) { throw MLOpsError(.usage, reason) }
                default: throw item.expected("a file or a map of variables")
                }
            } catch { fail(item.location, error) }
        }
        template.locals = local.parameters
    }

    private mutating func readRest(_ map: YAMLMap, _ context: Context, _ keys: inout Keys) {
        var (params, deps, outs, metrics): ([YAMLValue], [YAMLValue], [YAMLValue], [YAMLValue]) = ([], [], [], [])
        var flags: Keys = []
        for entry in map.entries where !entry.value.isNull {
            let items = (try? entry.value.list()) ?? []
            switch entry.key {
            case "cmd", "wdir", "vars", "foreach", "do", "matrix": break
            case "deps": deps += items.compactMap { dependency($0, context) }
            case "params": for item in items { readParams(item, context, &params, &deps) }
            case "outs", "plots":
                for item in items {
                    guard let out = output(item, context, of: entry.key) else { continue }
                    if takeMetrics(out.path) { metrics.append(out.value) } else { outs.append(out.value) }
                }
            case "metrics":
                for item in items {
                    guard let out = output(item, context, of: entry.key) else { continue }
                    _ = takeMetrics(out.path)
                    if out.path.hasSuffix(".json") {
                        metrics.append(out.value)
                    } else {
                        note(
                            item.location,
                            "`\(printable(out.path))` is kept as an output: metrics are read from JSON files")
                        outs.append(out.value)
                    }
                }
            case "desc":
                let line = (try? entry.value.string())?.split(separator: "\n").first.map(String.init)
                if let line { flags.append(("desc", .string(line))) }
            case "frozen", "always_changed":
                if (try? entry.value.bool()) == true { flags.append((entry.key, true)) }
            case "meta": note(entry.keyLocation, "`meta` is not kept")
            default: fail(entry.keyLocation, "`\(printable(entry.key))` of a stage has no counterpart")
            }
        }
        for (key, values) in [("params", params), ("deps", deps), ("outs", outs), ("metrics", metrics)]
        where !values.isEmpty { keys.append((key, .list(DVCPipelineReader.unique(values)))) }
        keys += flags
    }

    private static func unique(_ values: [YAMLValue]) -> [YAMLValue] {
        var seen: Set<String> = []
        return values.filter { seen.insert(YAMLWriter.text(of: $0)).inserted }
    }

    // MARK: Paths

    /// `text` relative to the repository, its references rewritten.
    private func path(_ text: String, _ context: Context, at location: SourceLocation) throws -> String {
        if text.contains("://") {
            throw MLOpsError(
                .usage, "`\(printable(text))` lies outside of the project",
                hint: "bring it into the project, with `mlops add` or a stage that downloads it", at: location)
        }
        return try path(context.template.text(text, at: location), from: context.folder)
    }

    private func actualPath(_ text: String, _ context: Context, at location: SourceLocation) throws -> String {
        try path(context.template.resolved(text, at: location), from: context.folder)
    }

    private mutating func dependency(_ node: YAMLNode, _ context: Context) -> YAMLValue? {
        do {
            if case .map(let entries) = node.content, let entry = entries.first {
                return .string(try path(entry.key, context, at: node.location))
            }
            return .string(try path(node.scalarText("a path"), context, at: node.location))
        } catch {
            fail(node.location, error)
            return nil
        }
    }

    /// An output as it is written, and the path that it has: with the values of parameters in place of their names.
    private mutating func output(
        _ node: YAMLNode, _ context: Context, of list: String
    ) -> (path: String, value: YAMLValue)? {
        do {
            guard case .map(let entries) = node.content, let entry = entries.first else {
                let given = try node.scalarText("a path")
                let text = try path(given, context, at: node.location)
                return (try actualPath(given, context, at: node.location), .string(text))
            }
            let text = try path(entry.key, context, at: node.location)
            let actual = try actualPath(entry.key, context, at: node.location)
            var keys: Keys = [("path", .string(text))]
            let options = entry.value.isNull ? [] : try entry.value.map().entries
            for option in options {
                switch option.key {
                case "cache": if try !option.value.bool() { keys.append(("cache", false)) }
                case "persist": if try option.value.bool() { keys.append(("persist", true)) }
                case "push", "remote":
                    note(option.keyLocation, "`\(option.key)` is not kept: `mlops push` has one remote for all")
                case "desc", "meta", "labels", "type", "x", "y", "x_label", "y_label", "title", "template", "header":
                    note(option.keyLocation, "`\(option.key)` of an output is not kept")
                default: note(option.keyLocation, "`\(printable(option.key))` of an entry of `\(list)` is not kept")
                }
            }
            return (actual, keys.count == 1 ? .string(text) : .map(keys))
        } catch {
            fail(node.location, error)
            return nil
        }
    }

    // MARK: Parameters

    private mutating func readParams(
        _ node: YAMLNode, _ context: Context, _ params: inout [YAMLValue], _ deps: inout [YAMLValue]
    ) {
        do {
            guard case .map(let entries) = node.content else {
                let file = try path("params.yaml", from: context.folder)
                try readParams([node], of: file, context, at: node.location, &params, &deps)
                return
            }
            for entry in entries {
                let file = try path(entry.key, context, at: entry.keyLocation)
                let names = entry.value.isNull ? [] : try entry.value.list()
                try readParams(names, of: file, context, at: entry.keyLocation, &params, &deps)
            }
        } catch { fail(node.location, error) }
    }

    private mutating func readParams(
        _ names: [YAMLNode], of file: String, _ context: Context, at location: SourceLocation,
        _ params: inout [YAMLValue], _ deps: inout [YAMLValue]
    ) throws {
        if names.isEmpty {
            deps.append(.string(file))
            return
        }
        if let reason = variables.add(file, at: location) {
            deps.append(.string(file))
            note(
                location, "the stage depends on the whole of `\(file)`, not on single parameters: \(reason)",
                hint: "give the files keys of their own, and name them in `params`")
            return
        }
        params += try names.map {
            YAMLValue.string(try context.template.text($0.scalarText("a parameter"), at: $0.location))
        }
    }
}
