internal import Basics

/// Text of others (names of metrics, lines of logs, messages) as the formats of reports want it, so that it can neither end
/// what it stands in nor give orders to the program that reads it.
package enum ReportText {
    /// For XML: markup escaped, colours of terminals and characters that XML 1.0 has no place for left out.
    static func xml(_ text: String) -> String {
        var result = ""
        for scalar in withoutEscapes(text).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            default:
                let isAllowed = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
                if isAllowed && scalar.value != 0x7F { result.unicodeScalars.append(scalar) }
            }
        }
        return result
    }

    /// For an attribute of XML: as `xml`, on one line.
    static func attribute(_ text: String) -> String {
        xml(text).replacing("\n", with: "&#10;").replacing("\t", with: " ")
    }

    /// For Markdown with HTML in it, as GitHub and GitLab show it: all that could be markup, a mention, a link, a reference
    /// or the end of a cell.
    static func markdown(_ text: String) -> String {
        var result = ""
        for scalar in printable(withoutEscapes(text).replacing("\n", with: " ")).unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            // A mention, an issue and an address of the web must not become links.
            case "@": result += "&#64;"
            case "#": result += "&#35;"
            case ":": result += "&#58;"
            case "|": result += "&#124;"
            case "`": result += "&#96;"
            case "\\", "*", "_", "[", "]", "~", "!", "$": result += "\\" + String(scalar)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// `text` with nothing in it that GitHub takes for a workflow command: neither `::` at a line's beginning, blanks before it
    /// left out, nor the older `##[` anywhere.
    package static func withoutCommands(_ text: String) -> String {
        text.replacing("##[", with: "## [").split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let words = line.drop { $0.isWhitespace }
            return words.hasPrefix("::") ? line[..<words.startIndex] + "| " + words : line
        }.joined(separator: "\n")
    }

    /// The message of a GitHub workflow command.
    static func commandData(_ text: String) -> String {
        replacing(withoutEscapes(text), ["%": "%25", "\r": "%0D", "\n": "%0A"])
    }

    /// A property of a GitHub workflow command, such as its `title`.
    static func commandProperty(_ text: String) -> String {
        replacing(withoutEscapes(text), ["%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"])
    }

    /// The value of a label of OpenMetrics.
    static func label(_ text: String) -> String {
        replacing(withoutEscapes(text), ["\\": "\\\\", "\n": "\\n", "\"": "\\\""])
    }

    /// Scalar by scalar: a mark that joins the character before it must not hide that from us.
    private static func replacing(_ text: String, _ table: [Unicode.Scalar: String]) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if let other = table[scalar] { result += other } else { result.unicodeScalars.append(scalar) }
        }
        return result
    }

    /// `text` without the sequences that move a terminal's cursor or colour it (ECMA-48), and with `\r\n` as `\n`.
    static func withoutEscapes(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0 == "\u{1B}" || $0 == "\u{9B}" || $0 == "\r" }) else {
            return text
        }
        var result = String.UnicodeScalarView()
        var scalars = text.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\r": if scalars.first != "\n" { result.append("\n") }
            case "\u{9B}": skipControlSequence(&scalars)
            case "\u{1B}": skipEscape(&scalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    private static func skipEscape(_ scalars: inout Substring.UnicodeScalarView) {
        guard let kind = scalars.popFirst() else { return }
        if kind == "[" { return skipControlSequence(&scalars) }
        // An operating system command, such as a link or a window's title: up to BEL or ESC \.
        guard kind == "]" || kind == "P" || kind == "^" || kind == "_" else { return }
        while let next = scalars.popFirst(), next != "\u{07}", next != "\u{9C}" {
            guard next == "\u{1B}", scalars.first == "\\" else { continue }
            scalars.removeFirst()
            return
        }
    }

    private static func skipControlSequence(_ scalars: inout Substring.UnicodeScalarView) {
        while let next = scalars.popFirst() { if (0x40...0x7E).contains(next.value) { return } }
    }

    /// The first `limit` bytes of `text`, at the end of a character, with `note` behind if something was cut.
    static func prefix(_ text: String, bytes limit: Int, note: String = "…") -> String {
        guard text.utf8.count > limit else { return text }
        var (end, count) = (text.startIndex, 0)
        let room = max(0, limit - note.utf8.count)
        while end < text.endIndex {
            let size = text[end].utf8.count
            if count + size > room { break }
            count += size
            end = text.index(after: end)
        }
        return text[..<end] + note
    }
}
