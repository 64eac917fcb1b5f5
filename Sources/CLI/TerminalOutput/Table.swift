internal import Basics

/// Rows under titles, with each column as wide as its widest cell as long as the terminal is wide enough.
package struct Table: Sendable {
    package struct Column: Sendable {
        package var title: String
        package var alignment: Alignment
        /// How cells are cut when the terminal is too narrow; nil: never.
        package var truncation: Truncation?

        package init(_ title: String, _ alignment: Alignment = .left, truncation: Truncation? = .end) {
            self.title = title
            self.alignment = alignment
            self.truncation = alignment == .right ? nil : truncation
        }
    }

    /// The text of one cell and what it means.
    package struct Cell: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
        package var text: String
        package var tone: TextStyle.Tone

        package init(_ text: String, _ tone: TextStyle.Tone = .plain) {
            self.text = printable(text)
            self.tone = tone
        }

        package init(stringLiteral value: String) { self.init(value) }
    }

    /// The narrowest that cutting makes a column.
    private static let leastWidth = 8
    private static let gap = "  "

    package var columns: [Column]
    package private(set) var rows: [[Cell]] = []

    package init(_ columns: [Column]) { self.columns = columns }

    /// A table whose columns are all text on the left.
    package init(titles: [String]) { self.init(titles.map { Column($0) }) }

    /// Adds a row; missing cells are empty.
    package mutating func add(_ cells: [Cell]) {
        precondition(cells.count <= columns.count, "\(cells.count) cells in a table of \(columns.count) columns")
        rows.append(cells + Array(repeating: "", count: columns.count - cells.count))
    }

    package mutating func add(_ cells: Cell...) { add(cells) }

    /// The lines of the table, each with a newline at its end; nothing at all if there are no rows.
    package func text(_ style: TextStyle) -> String {
        guard !rows.isEmpty else { return "" }
        let widths = columnWidths(limit: style.width)
        let titles = columns.map { Cell($0.title.uppercased(), .faint) }
        let isTitled = columns.contains { !$0.title.isEmpty }
        return ((isTitled ? [titles] : []) + rows).map { line($0, widths: widths, style) + "\n" }.joined()
    }

    private func columnWidths(limit: Int?) -> [Int] {
        var widths = columns.indices.map { column in
            rows.reduce(displayWidth(columns[column].title)) { max($0, displayWidth($1[column].text)) }
        }
        guard let limit else { return widths }
        var excess = widths.reduce(0, +) + Table.gap.count * (widths.count - 1) - limit
        while excess > 0 {
            let flexible = widths.indices.filter { columns[$0].truncation != nil && widths[$0] > Table.leastWidth }
            guard let widest = flexible.max(by: { widths[$0] < widths[$1] }) else { break }
            // Down to the next widest column, so that equals shrink together.
            let next = flexible.filter { $0 != widest }.map { widths[$0] }.max() ?? 0
            let cut = min(excess, max(1, widths[widest] - max(next, Table.leastWidth)))
            widths[widest] -= cut
            excess -= cut
        }
        return widths
    }

    private func line(_ cells: [Cell], widths: [Int], _ style: TextStyle) -> String {
        let last = cells.lastIndex { !$0.text.isEmpty } ?? 0
        return cells.indices.prefix(last + 1).map { index in
            let text = columns[index].truncation.map { truncated(cells[index].text, to: widths[index], $0) }
            let shown = text ?? cells[index].text
            let space = padded("", to: widths[index] - displayWidth(shown))
            let styled = style(shown, cells[index].tone)
            if columns[index].alignment == .right { return space + styled }
            return index == last ? styled : styled + space
        }.joined(separator: Table.gap)
    }
}

/// Names and values in two columns: `digest  sha256:…`.
package struct FactList: Sendable {
    private var table = Table(titles: ["", ""])

    package init(_ facts: [(String, Table.Cell)] = []) { for (name, value) in facts { add(name, value) } }

    package mutating func add(_ name: String, _ value: Table.Cell) { table.add(Table.Cell(name, .faint), value) }

    /// Adds the fact if there is a value.
    package mutating func add(_ name: String, ifKnown value: String?) {
        if let value { add(name, Table.Cell(value)) }
    }

    /// The lines, each with a newline at its end; values are never cut.
    package func text(_ style: TextStyle) -> String { table.text(TextStyle(usesColor: style.usesColor)) }
}
