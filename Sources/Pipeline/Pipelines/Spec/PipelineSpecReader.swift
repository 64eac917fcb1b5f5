internal import Basics

/// Reads a spec from its node, collecting every error.
struct PipelineSpecReader {
    var diagnostics = Diagnostics()

    /// nil if the document is not even a map.
    ///
    /// - Parameter isIncluded: whether another file includes it; then it needs no name.
    mutating func read(_ node: YAMLNode, file: String, digest: Digest, isIncluded: Bool = false) -> PipelineSpec? {
        guard case .map(let keys) = node.content else {
            diagnostics.add(node.expected("a map with `version`, `name` and `stages`"))
            return nil
        }
        let map = YAMLMap(entries: keys, location: node.location)
        diagnostics.add(map.unknownKeys(PipelineSpec.keys, of: "a pipeline"))
        diagnostics.attempt {
            let version = try map.required("version", of: "the pipeline")
            guard case .int(1) = version.content else {
                throw version.expected("version 1", hint: "write `version: 1`")
            }
        }
        var name: String?
        if !isIncluded || map.value("name") != nil {
            name = diagnostics.attempt {
                let node = try map.required("name", of: "the pipeline")
                return try PipelineSpecReader.name(try node.string(), of: "pipeline", at: node.location)
            }
        }
        let params = texts(map.value("params"), "parameter files")
        let includes = texts(map.value("include"), "pipeline files")
        return PipelineSpec(
            file: file, digest: digest, name: name ?? "", params: params, includes: includes,
            resources: map.value("resources"), secrets: map.value("secrets"),
            stages: stages(map, hasIncludes: !includes.isEmpty))
    }

    private mutating func stages(_ map: YAMLMap, hasIncludes: Bool) -> [StageSpec] {
        if hasIncludes, map.value("stages") == nil { return [] }
        let entries = diagnostics.attempt {
            let node = try map.required("stages", of: "the pipeline")
            guard case .map(let entries) = node.content else { throw node.expected("a map of stages by name") }
            guard !entries.isEmpty else {
                throw MLOpsError(.usage, "`stages` is empty", hint: "add a stage", at: node.location)
            }
            return entries
        }
        let defaults = StageDefaults(executor: map.value("executor"), image: map.value("image"))
        var stages: [StageSpec] = []
        for entry in entries ?? [] {
            if diagnostics.isFull { return [] }
            if let stage = stage(entry, defaults) { stages.append(stage) }
        }
        return stages
    }

    // MARK: Parts

    mutating func text(_ node: YAMLNode) -> LocatedText? {
        diagnostics.attempt { LocatedText(text: try node.string(), location: node.location) }
    }

    mutating func nodes(_ node: YAMLNode?, _ what: String) -> [YAMLNode] {
        guard let node else { return [] }
        if case .list(let items) = node.content { return items }
        diagnostics.add(node.expected("a list of \(what)", hint: "write `[…]` around it, or each behind a `- `"))
        return []
    }

    mutating func texts(_ node: YAMLNode?, _ what: String) -> [LocatedText] {
        var texts: [LocatedText] = []
        for node in nodes(node, what) where !diagnostics.isFull {
            if let text = text(node) { texts.append(text) }
        }
        return texts
    }

    /// Letters, digits, `-` and `_`, at most 64, beginning with a letter: fit for file names and metric paths.
    static func name(_ text: String, of what: String, at location: SourceLocation) throws -> String {
        func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
        let isName =
            text.utf8.first.map(isLetter) ?? false
            && text.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F }
        guard isName, text.utf8.count <= 64 else {
            throw MLOpsError(
                .usage, "`\(printable(shortened(text)))` is not a name for a \(what)",
                hint: "begin with a letter, then letters, digits, `-` and `_`, at most 64", at: location)
        }
        return text
    }
}
