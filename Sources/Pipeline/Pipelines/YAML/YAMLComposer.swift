internal import Basics
internal import CYaml

/// Builds nodes from libyaml's events, with a stack of its own, and stops at the first fault or limit.
struct YAMLComposer {
    private struct Open {
        var isMap: Bool
        var location: SourceLocation
        var anchor: String?
        var items: [YAMLNode] = []
        var entries: [YAMLEntry] = []
        /// The key whose value comes next.
        var key: (name: String, location: SourceLocation)?
        /// Of a map with more keys than are quickly compared one by one.
        private var names: Set<String> = []

        init(isMap: Bool, location: SourceLocation, anchor: String?) {
            self.isMap = isMap
            self.location = location
            self.anchor = anchor
        }

        /// Whether `name` is no key of the map yet; from now on it is.
        mutating func isNew(_ name: String) -> Bool {
            if entries.count < 8 { return !entries.contains { $0.key == name } }
            if names.isEmpty { names = Set(entries.map(\.key)) }
            return names.insert(name).inserted
        }
    }

    private let file: String
    private let limits: YAMLLimits
    private var stack: [Open] = []
    private var anchors: [String: (node: YAMLNode, count: Int)] = [:]
    private var root: YAMLNode?
    private var aliasCount = 0
    private var nodeCount = 0
    private var documentCount = 0

    init(file: String, limits: YAMLLimits) {
        self.file = file
        self.limits = limits
    }

    mutating func compose(_ bytes: UnsafeBufferPointer<UInt8>) throws -> YAMLNode {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else { throw MLOpsError(.failed, "libyaml cannot start") }
        defer { yaml_parser_delete(&parser) }
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(&parser, &event) == 1 else { throw syntaxError(parser, bytes) }
            defer { yaml_event_delete(&event) }
            if event.type == YAML_STREAM_END_EVENT { break }
            try handle(event)
        }
        return root ?? YAMLNode(.null, at: SourceLocation(path: file, line: 1, column: 1))
    }

    private mutating func handle(_ event: yaml_event_t) throws {
        let place = location(event.start_mark)
        switch event.type {
        case YAML_DOCUMENT_START_EVENT:
            documentCount += 1
            if documentCount > 1 {
                throw MLOpsError(
                    .usage, "a second document begins here",
                    hint: "keep one document in a file, without `---` inside it",
                    at: place)
            }
            if event.data.document_start.version_directive != nil
                || event.data.document_start.tag_directives.start != event.data.document_start.tag_directives.end
            {
                throw MLOpsError(.usage, "`%` directives are not supported", hint: "remove the directive", at: place)
            }
        case YAML_SCALAR_EVENT: try scalar(event, at: place)
        case YAML_ALIAS_EVENT: try alias(event, at: place)
        case YAML_SEQUENCE_START_EVENT:
            try refuseTag(event.data.sequence_start.tag, at: place)
            try open(isMap: false, anchor: text(event.data.sequence_start.anchor), at: place)
        case YAML_MAPPING_START_EVENT:
            try refuseTag(event.data.mapping_start.tag, at: place)
            try open(isMap: true, anchor: text(event.data.mapping_start.anchor), at: place)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: try close()
        default: break
        }
    }

    private mutating func scalar(_ event: yaml_event_t, at place: SourceLocation) throws {
        let scalar = event.data.scalar
        try refuseTag(scalar.tag, at: place)
        let value = YAMLSource.restored(UnsafeBufferPointer(start: scalar.value, count: scalar.length))
        let anchor = text(scalar.anchor)
        if isKeyExpected {
            return try key(value, anchor: anchor, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE, at: place)
        }
        var content = YAMLNode.Content.string(value)
        if scalar.style == YAML_PLAIN_SCALAR_STYLE {
            switch YAMLScalar.meaning(of: value) {
            case .content(let plain): content = plain
            case .tooLarge:
                throw MLOpsError(
                    .usage, "the number `\(shortened(value))` does not fit into 64 bits",
                    hint: "put it in quotes if it is a text", at: place)
            }
        }
        let node = YAMLNode(content, at: place, text: value)
        try count(1, at: place)
        if let anchor { anchors[anchor] = (node, 1) }
        try add(node)
    }

    private mutating func key(_ name: String, anchor: String?, isPlain: Bool, at place: SourceLocation) throws {
        guard anchor == nil else {
            throw MLOpsError(.usage, "the key `\(printable(name))` has an anchor", hint: "remove `&`", at: place)
        }
        if name == "<<", isPlain {
            throw MLOpsError(
                .usage, "merge keys (`<<`) are not supported", hint: "write the keys out, or use parameters", at: place)
        }
        guard stack[stack.count - 1].isNew(name) else {
            let first = stack[stack.count - 1].entries.first { $0.key == name }?.keyLocation
            throw MLOpsError(
                .usage, "the key `\(printable(shortened(name)))` stands twice in this map",
                hint: "remove one of them\(first.map { "; the first is at line \($0.line)" } ?? "")", at: place)
        }
        stack[stack.count - 1].key = (name, place)
    }

    private mutating func alias(_ event: yaml_event_t, at place: SourceLocation) throws {
        let name = text(event.data.alias.anchor) ?? ""
        if isKeyExpected { throw MLOpsError(.usage, "the alias `*\(name)` cannot be a key", at: place) }
        aliasCount += 1
        guard aliasCount <= limits.aliases else {
            throw MLOpsError(.usage, "there are more than \(limits.aliases) aliases", hint: "use parameters", at: place)
        }
        guard let target = anchors[name] else {
            let known = nearestName(to: name, among: anchors.keys)
            throw MLOpsError(
                .usage, "the alias `*\(name)` has no anchor before it",
                hint: known.map { "did you mean `*\($0)`?" } ?? "define it with `&\(name)` first", at: place)
        }
        try count(target.count, at: place)
        try add(target.node)
    }

    private mutating func open(isMap: Bool, anchor: String?, at place: SourceLocation) throws {
        if isKeyExpected {
            throw MLOpsError(
                .usage, "a \(isMap ? "map" : "list") cannot be a key", hint: "put the key in quotes", at: place)
        }
        guard stack.count < limits.depth else {
            throw MLOpsError(.usage, "lists and maps are nested deeper than \(limits.depth)", at: place)
        }
        try count(1, at: place)
        // The count at the start is kept in `items`' stead by the difference at the end; see `close`.
        stack.append(Open(isMap: isMap, location: place, anchor: anchor))
        startCounts.append(nodeCount)
    }

    /// `nodeCount` when each open collection began, so that an anchor knows how much its aliases add.
    private var startCounts: [Int] = []

    private mutating func close() throws {
        guard let open = stack.popLast(), let start = startCounts.popLast() else { return }
        let content = open.isMap ? YAMLNode.Content.map(open.entries) : .list(open.items)
        let node = YAMLNode(content, at: open.location)
        if let anchor = open.anchor { anchors[anchor] = (node, nodeCount - start + 1) }
        try add(node)
    }

    private mutating func add(_ node: YAMLNode) throws {
        guard !stack.isEmpty else {
            root = node
            return
        }
        let last = stack.count - 1
        if let key = stack[last].key {
            stack[last].entries.append(YAMLEntry(key: key.name, keyLocation: key.location, value: node))
            stack[last].key = nil
        } else {
            stack[last].items.append(node)
        }
    }

    private var isKeyExpected: Bool { stack.last.map { $0.isMap && $0.key == nil } ?? false }

    private mutating func count(_ nodes: Int, at place: SourceLocation) throws {
        nodeCount += nodes
        guard nodeCount <= limits.nodes else {
            throw MLOpsError(
                .usage, "the document holds more than \(limits.nodes) values, counting what aliases repeat", at: place)
        }
    }

    private func refuseTag(_ tag: UnsafeMutablePointer<UInt8>?, at place: SourceLocation) throws {
        guard let tag = text(tag) else { return }
        throw MLOpsError(
            .usage, "the tag `\(printable(shortened(tag)))` is not allowed",
            hint: "remove it; put a value in quotes to make it a text", at: place)
    }

    private func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(cString: UnsafePointer($0)) }
    }

    private func location(_ mark: yaml_mark_t) -> SourceLocation {
        SourceLocation(path: file, line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    private func syntaxError(_ parser: yaml_parser_t, _ bytes: UnsafeBufferPointer<UInt8>) -> MLOpsError {
        let problem = parser.problem.map { String(cString: $0) } ?? "the document cannot be read"
        let context = parser.context.map { String(cString: $0) + ": " } ?? ""
        if problem.contains("nesting level") {
            return MLOpsError(
                .usage, "lists and maps are nested deeper than \(limits.depth)", at: location(parser.mark))
        }
        let place = location(parser.problem_mark)
        let line = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropFirst(place.line - 1).first
        var hint: String?
        if let line, line.prefix(while: { $0 == 0x20 || $0 == 0x09 }).contains(0x09) {
            hint = "indent with spaces; line \(place.line) begins with a tab"
        } else if problem.contains("mapping values are not allowed") {
            hint = "put a text that contains `: ` in quotes"
        } else if problem.contains("could not find expected ':'") {
            hint = "write `key: value`, with a space after the colon"
        } else if problem.contains("did not find expected key") || problem.contains("did not find expected '-'") {
            hint = "check that this line is indented as the lines before it"
        }
        return MLOpsError(.usage, "\(context)\(problem)", hint: hint, at: place)
    }
}
