internal import Basics

/// A model card: Markdown with the front matter and the sections of Hugging Face's template, so that people, the Hub and its
/// tools can read it.
package struct ModelCard: Sendable {
    let input: ModelCardInput

    /// What stands for a fact that nobody gave.
    static let unknown = "not stated"

    package init(_ input: ModelCardInput) { self.input = input }

    /// The whole card; the same input gives the same bytes.
    package var markdown: String {
        let sections = [
            heading, details, uses, risks, start, training, evaluation, gates, impact, specification, citation,
        ]
        return frontMatter + "\n" + sections.joined(separator: "\n\n") + "\n"
    }

    // MARK: Helpers of the sections

    /// `## title` and its blocks, empty ones left out.
    func section(_ title: String, level: Int = 2, _ blocks: [String]) -> String {
        ([String(repeating: "#", count: level) + " " + title] + blocks.filter { !$0.isEmpty }).joined(separator: "\n\n")
    }

    /// Text of the user, or that there is none.
    func prose(_ text: String?) -> String {
        let text = text.map(MarkdownText.paragraphs) ?? ""
        return text.isEmpty ? "Not stated." : text
    }

    /// `- **name:** value` for each fact; a nil value is not stated.
    func facts(_ facts: [(String, String?)]) -> String {
        facts.map { "- **\($0.0):** \($0.1 ?? ModelCard.unknown)" }.joined(separator: "\n")
    }

    func code(_ text: String?) -> String? { text.map(MarkdownText.code) }

    func inline(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : MarkdownText.inline($0) } }

    /// Four decimals, or four digits where those would all be zeros.
    func number(_ value: Double) -> String {
        value != 0 && abs(value) < 0.0001 ? Format.number(value) : Format.fixed(value, 4)
    }
}
