internal import Basics

/// How often each class was taken for each other one.
package struct ConfusionMatrix: Codable, Hashable, Sendable {
    package var classes: [String]
    /// Row: the true class; column: the guess.
    package var counts: [[Int]]

    /// - Parameters:
    ///   - labels, guesses: of each example, indices of `classes`.
    package init(classes: [String], labels: [Int], guesses: [Int]) {
        self.classes = classes
        counts = [[Int]](repeating: [Int](repeating: 0, count: classes.count), count: classes.count)
        for (label, guess) in zip(labels, guesses) { counts[label][guess] += 1 }
    }

    /// The share of examples on the diagonal.
    package var accuracy: Double {
        let all = counts.reduce(0) { $0 + $1.reduce(0, +) }
        return Double(classes.indices.reduce(0) { $0 + counts[$1][$1] }) / Double(max(1, all))
    }

    /// A square for each pair, the darker the larger its share of the true class.
    package var svg: String {
        let cell = classes.count <= 12 ? 40.0 : 480.0 / Double(classes.count)
        let start = (x: 96.0, y: 52.0)
        let side = cell * Double(classes.count)
        var text = SVG.head(start.x + side + 16, start.y + side + 56)
        text += SVG.text(
            "confusion matrix, accuracy \(Format.fixed(accuracy, 4))", 16, 24, size: 15, anchor: "start")
        text += SVG.text("true class", 16, start.y - 6, size: 11, anchor: "start")
        text += SVG.text("guess", start.x + side / 2, start.y + side + 44, size: 11)
        for (row, counts) in counts.enumerated() {
            let total = Double(max(1, counts.reduce(0, +)))
            let y = start.y + Double(row) * cell
            text += SVG.text(String(classes[row].prefix(12)), start.x - 6, y + cell / 2 + 4, size: 11, anchor: "end")
            text += SVG.text(
                String(classes[row].prefix(6)), start.x + (Double(row) + 0.5) * cell, start.y + side + 18, size: 10)
            for (column, count) in counts.enumerated() where count > 0 {
                let x = start.x + Double(column) * cell
                let share = Double(count) / total
                let colour = row == column ? "#1f6feb" : "#d1242f"
                text +=
                    "<rect x=\"\(SVG.number(x))\" y=\"\(SVG.number(y))\" width=\"\(SVG.number(cell))\" "
                    + "height=\"\(SVG.number(cell))\" fill=\"\(colour)\" fill-opacity=\"\(Format.number(share))\"/>\n"
                guard cell >= 24 else { continue }
                text += SVG.text(
                    String(count), x + cell / 2, y + cell / 2 + 4, size: 11,
                    colour: share > 0.5 ? "#ffffff" : "#24292f")
            }
        }
        text +=
            "<rect x=\"\(SVG.number(start.x))\" y=\"\(SVG.number(start.y))\" width=\"\(SVG.number(side))\" "
            + "height=\"\(SVG.number(side))\" fill=\"none\" stroke=\"#57606a\"/>\n"
        return text + "</svg>\n"
    }
}
