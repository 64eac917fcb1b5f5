internal import Basics
package import Drawings

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
    package var drawing: Drawing {
        let cell = classes.count <= 12 ? 40.0 : 480.0 / Double(classes.count)
        let start = (x: 96.0, y: 52.0)
        let side = cell * Double(classes.count)
        let title = "confusion matrix, accuracy \(Format.fixed(accuracy, 4))"
        var drawing = Drawing(width: max(start.x + side + 16, 320), height: start.y + side + 56, title: title)
        drawing.addText(title, (16, 24), size: 15, .start, isBold: true)
        drawing.addText("true class", (16, start.y - 6), size: 11, .start)
        // Names that a cell is too narrow for reach below their neighbours', every other one a line lower.
        let isStaggered = classes.contains { $0.count > 6 }
        drawing.addText("guess", (start.x + side / 2, start.y + side + 48), size: 11)
        for (row, counts) in counts.enumerated() {
            let total = Double(max(1, counts.reduce(0, +)))
            let y = start.y + Double(row) * cell
            drawing.addText(shortened(classes[row], to: 12), (start.x - 6, y + cell / 2 + 4), size: 11, .end)
            drawing.addText(
                shortened(classes[row], to: max(2, Int(cell / 3) - 1)),
                (start.x + (Double(row) + 0.5) * cell, start.y + side + (isStaggered && row % 2 == 1 ? 31 : 17)),
                size: 10)
            for (column, count) in counts.enumerated() where count > 0 {
                let x = start.x + Double(column) * cell
                let share = Double(count) / total
                drawing.addBox(
                    (x, y), width: cell, height: cell, .number(row == column ? 0 : 1), opacity: share)
                guard cell >= 24 else { continue }
                drawing.addText(
                    String(count), (x + cell / 2, y + cell / 2 + 4), size: 11, .middle, share > 0.5 ? .white : .ink)
            }
        }
        let corners = [
            (start.x, start.y), (start.x + side, start.y), (start.x + side, start.y + side), (start.x, start.y + side),
        ]
        for (index, corner) in corners.enumerated() {
            drawing.addLine(corner, corners[(index + 1) % 4], Colour(0x57606A))
        }
        return drawing
    }
}
