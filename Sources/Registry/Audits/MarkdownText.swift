internal import Basics

/// Text of others made safe for Markdown: it can start no heading, table, link, HTML or emphasis.
enum MarkdownText {
    /// `text` on one line.
    static func inline(_ text: String) -> String {
        var result = ""
        let words = text.split { $0.isWhitespace || $0.isNewline }.joined(separator: " ")
        var before: Character = " "
        let characters = Array(printable(words))
        for (index, character) in characters.enumerated() {
            let after = index + 1 < characters.count ? characters[index + 1] : " "
            switch character {
            case "\\", "`", "*", "[", "]", "|", "~": result += "\\\(character)"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            // Inside a word an underscore emphasises nothing.
            case "_" where !(isWord(before) && isWord(after)): result += "\\_"
            case _ where isMark(character, after: characters[..<index], before: after):
                result += "\\\(character)"
            default: result.append(character)
            }
            before = character
        }
        return result
    }

    /// Whether `character` would start a heading, a rule or an item of a list at the start of a line.
    private static func isMark(_ character: Character, after text: ArraySlice<Character>, before: Character) -> Bool {
        switch character {
        case "#", "+", "-", "=": text.isEmpty
        case ".", ")": before == " " && !text.isEmpty && text.allSatisfy(\.isNumber)
        default: false
        }
    }

    private static func isWord(_ character: Character) -> Bool { character.isLetter || character.isNumber }

    /// A sentence of our own on one line: what stands in backticks becomes code.
    static func sentence(_ text: String) -> String {
        let parts = text.split(separator: "`", omittingEmptySubsequences: false).map(String.init)
        guard parts.count % 2 == 1 else { return inline(text) }
        return parts.enumerated().map { index, part in
            if index % 2 == 1 { return code(part) }
            if part.allSatisfy(\.isWhitespace) { return part.isEmpty ? "" : " " }
            return (part.first == " " ? " " : "") + inline(part) + (part.last == " " ? " " : "")
        }.joined()
    }

    /// `text` with its empty lines as ends of paragraphs.
    static func paragraphs(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let blocks = lines.split { $0.allSatisfy(\.isWhitespace) }
        return blocks.map { inline($0.joined(separator: " ")) }.joined(separator: "\n\n")
    }

    /// `text` as code on one line.
    static func code(_ text: String) -> String {
        let line = printable(text.split(whereSeparator: \.isNewline).joined(separator: " "))
        guard line.contains("`") else { return "`\(line.replacing("|", with: "\\|"))`" }
        return "`` \(line.replacing("|", with: "\\|")) ``"
    }

    /// `lines` as a block of code.
    static func codeBlock(_ lines: [String], language: String) -> String {
        let text = lines.joined(separator: "\n")
        var fence = "```"
        while text.contains(fence) { fence += "`" }
        return "\(fence)\(language)\n\(text)\n\(fence)"
    }

    /// An address as a link, anything else as text.
    static func link(_ text: String) -> String {
        let isAddress = text.hasPrefix("https://") || text.hasPrefix("http://")
        let isClean =
            !text.contains { $0.isWhitespace || $0.isNewline || "<>|`".contains($0) } && printable(text) == text
        return isAddress && isClean ? "<\(text)>" : inline(text)
    }

    /// A table of cells that are Markdown already.
    static func table(_ titles: [String], alignedRight: Set<Int> = [], _ rows: [[String]]) -> String {
        let rule = titles.indices.map { alignedRight.contains($0) ? "---:" : "---" }
        return ([titles, rule] + rows).map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
    }
}
