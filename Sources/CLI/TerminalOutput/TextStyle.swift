/// How text may look where it goes: whether it may be coloured, and how wide the terminal is.
package struct TextStyle: Hashable, Sendable {
    /// What a piece of text means; colour only repeats what the words say.
    package enum Tone: String, Sendable, CaseIterable {
        case plain, heading, good, bad, caution, accent, faint

        /// The parameters of the terminal's "select graphic rendition" sequence; nil for plain text.
        fileprivate var code: String? {
            switch self {
            case .plain: nil
            case .heading: "1"
            case .good: "32"
            case .bad: "31;1"
            case .caution: "33"
            case .accent: "36"
            case .faint: "2"
            }
        }
    }

    package var usesColor: Bool
    /// Columns of the terminal; nil where lines may have any length.
    package var width: Int?

    package init(usesColor: Bool = false, width: Int? = nil) {
        self.usesColor = usesColor
        self.width = width
    }

    /// No colour, any width: files, pipes, tests.
    package static let plain = TextStyle()

    /// `text` in `tone`, or as it is where colour is off.
    package func callAsFunction(_ text: String, _ tone: Tone) -> String {
        guard usesColor, let code = tone.code, !text.isEmpty else { return text }
        return "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }
}
