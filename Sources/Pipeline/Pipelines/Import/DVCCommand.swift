internal import Basics

/// Turns the `cmd` of a stage into `run`.
struct DVCCommand {
    let template: DVCTemplate
    /// The folder that it runs in, relative to the repository; empty for the repository itself.
    let folder: String
    private(set) var notes: [String] = []

    init(template: DVCTemplate, folder: String) {
        self.template = template
        self.folder = folder
    }

    mutating func run(_ node: YAMLNode) throws -> YAMLValue {
        let nodes: [YAMLNode]
        if case .list(let items) = node.content { nodes = items } else { nodes = [node] }
        let parts = try nodes.map { try Part($0, template) }
        guard !parts.isEmpty else { throw node.expected("a command") }
        if parts.count == 1, folder.isEmpty, let words = parts[0].words { return .list(words.map(YAMLValue.string)) }
        let simple = parts.compactMap { $0.words?.joined(separator: " ") }
        if simple.count == parts.count {
            let change = folder.isEmpty ? [] : ["cd \(DVCCommand.quoted(folder))"]
            return .string((change + simple).joined(separator: " && "))
        }
        var lines = try parts.map { try shellLine($0) }
        if !folder.isEmpty { lines.insert("cd \(DVCCommand.quoted(folder)) || exit 1", at: 0) }
        guard parts.count > 1 else { return .string(lines.joined(separator: "\n")) }
        // DVC starts a shell for each command of a list and stops at the first that fails.
        let start = folder.isEmpty ? 0 : 1
        for index in lines.indices where index >= start && index < lines.count - 1 {
            lines[index] = "( \(lines[index])\n) || exit $?"
        }
        return .string(lines.joined(separator: "\n"))
    }

    private static func quoted(_ text: String) -> String {
        text.allSatisfy(isPlain) ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }

    private struct Part {
        var pieces: [DVCTemplate.Piece]
        var location: SourceLocation

        init(_ node: YAMLNode, _ template: DVCTemplate) throws {
            let text = try node.scalarText("a command").trimmingSuffix(while: \.isWhitespace)
            pieces = try template.pieces(of: String(text), at: node.location)
            location = node.location
        }

        /// The program and its arguments, if the shell would do nothing but split the line at its spaces; nil else.
        var words: [String]? {
            var words: [String] = []
            var current: String?
            for piece in pieces {
                switch piece {
                case .text(let text):
                    for character in text {
                        if character == " " {
                            if let word = current { words.append(word) }
                            current = nil
                        } else if DVCCommand.isPlain(character) {
                            current = (current ?? "") + String(character)
                        } else {
                            return nil
                        }
                    }
                case .reference(let name, let value):
                    // What a loop gives is not known here; a value with spaces would have been split.
                    if let value, (try? value.scalarText()).map({ $0.allSatisfy(DVCCommand.isPlain) }) != true {
                        return nil
                    }
                    current = (current ?? "") + "${\(name)}"
                case .literal(let value):
                    guard let text = try? value.scalarText(), text.allSatisfy(DVCCommand.isPlain) else { return nil }
                    current = (current ?? "") + text
                }
            }
            if let current { words.append(current) }
            guard let first = words.first, !first.contains("="), !DVCCommand.builtIns.contains(first) else {
                return nil
            }
            return words
        }
    }

    private static let builtIns: Set<String> = [
        ".", "source", "cd", "exit", "export", "set", "unset", "eval", "exec", "ulimit", "umask", "trap", "wait", "if",
        "for",
        "while", "case", "read", "shift", "return", "command", "type", "alias",
    ]

    private static func isPlain(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "_./:=@%+,-".contains(character))
    }

    // MARK: A line for the shell

    private mutating func shellLine(_ part: Part) throws -> String {
        var line = ""
        for piece in part.pieces {
            switch piece {
            case .text(let text): line += text
            case .literal(let value): line += try value.scalarText("a number or a text")
            case .reference(let name, let value): line += try shellWord(name, value, at: part.location)
            }
        }
        return line
    }

    private mutating func shellWord(_ name: String, _ value: YAMLNode?, at location: SourceLocation) throws -> String {
        guard let value else { return "${\(name)}" }
        switch value.content {
        case .map(let entries):
            // DVC writes a map as options.
            return try entries.map { try option($0.key, $0.value, "\(name).\($0.key)", at: location) }
                .filter { !$0.isEmpty }.joined(separator: " ")
        case .list: throw MLOpsError(.usage, "`${\(name)}` is a list, which cannot stand in a command", at: location)
        default: break
        }
        let text = try value.scalarText("a number or a text")
        if !text.isEmpty, text.allSatisfy(DVCCommand.isPlain) { return "${\(name)}" }
        notes.append(
            "the value of `${\(name)}` is written out, as the shell would not take it literally; a change of the parameter "
                + "is not seen")
        return text.replacing("${", with: "$${")
    }

    private func option(_ key: String, _ value: YAMLNode, _ name: String, at location: SourceLocation) throws -> String
    {
        switch value.content {
        case .bool(let isSet): return isSet ? "--\(key)" : ""
        case .list(let items):
            return (["--\(key)"] + items.indices.map { "${\(name).\($0)}" }).joined(separator: " ")
        case .map:
            throw MLOpsError(
                .usage, "`${\(name)}` is a map inside a map, which cannot stand in a command", at: location)
        default: return "--\(key) ${\(name)}"
        }
    }
}

extension StringProtocol {
    /// The text without the characters at its end for which `condition` holds.
    fileprivate func trimmingSuffix(while condition: (Character) -> Bool) -> SubSequence {
        var end = endIndex
        while end > startIndex, condition(self[index(before: end)]) { end = index(before: end) }
        return self[..<end]
    }
}
