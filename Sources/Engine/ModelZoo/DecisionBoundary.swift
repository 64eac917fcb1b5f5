package import Drawings

/// What a classifier of two numbers says over the plane, with the examples that it learned from.
package struct DecisionBoundary: Sendable {
    /// The names of the two numbers.
    package var axes: (String, String)
    package var classes: [String]
    /// Examples and their classes.
    package var points: [(x: Double, y: Double, label: Int)]
    /// Guesses over a grid of `side` × `side` cells, the first row on top.
    package var cells: [Int]
    package let side: Int
    package let horizontal: ClosedRange<Double>
    package let vertical: ClosedRange<Double>

    /// Asks `guess` for every cell at once.
    ///
    /// - Parameter guess: the classes of points that lie one after the other as x and y.
    package init(
        axes: (String, String), classes: [String], points: [(x: Double, y: Double, label: Int)], side: Int = 160,
        guess: ([(x: Double, y: Double)]) throws -> [Int]
    ) rethrows {
        func range(_ values: [Double]) -> ClosedRange<Double> {
            let low = values.min() ?? 0
            let high = values.max() ?? 1
            let margin = max((high - low) * 0.1, 1e-3)
            return (low - margin)...(high + margin)
        }
        self.axes = axes
        self.classes = classes
        self.points = points
        self.side = side
        horizontal = range(points.map(\.x))
        vertical = range(points.map(\.y))
        var places: [(x: Double, y: Double)] = []
        for row in 0..<side {
            for column in 0..<side {
                let x = (Double(column) + 0.5) / Double(side)
                let y = 1 - (Double(row) + 0.5) / Double(side)
                places.append(
                    (
                        horizontal.lowerBound + x * (horizontal.upperBound - horizontal.lowerBound),
                        vertical.lowerBound + y * (vertical.upperBound - vertical.lowerBound)
                    ))
            }
        }
        cells = try guess(places)
    }

    /// Where a point lies, in cells from the left and from the top.
    private func place(_ point: (x: Double, y: Double, label: Int)) -> (x: Double, y: Double) {
        let size = Double(side)
        return (
            (point.x - horizontal.lowerBound) / (horizontal.upperBound - horizontal.lowerBound) * size,
            (1 - (point.y - vertical.lowerBound) / (vertical.upperBound - vertical.lowerBound)) * size
        )
    }

    /// Runs of equal cells, the examples, and the names of axes and classes.
    package var drawing: Drawing {
        let cell = 2.5
        let start = (x: 40.0, y: 40.0)
        let size = Double(side) * cell
        var drawing = Drawing(width: size + 60, height: size + 90, title: "decision boundary")
        for row in 0..<side {
            var column = 0
            while column < side {
                let guess = cells[row * side + column]
                var end = column
                while end < side, cells[row * side + end] == guess { end += 1 }
                drawing.addBox(
                    (start.x + Double(column) * cell, start.y + Double(row) * cell),
                    width: Double(end - column) * cell, height: cell, .number(guess), opacity: 0.25)
                column = end
            }
        }
        for point in points {
            let (x, y) = place(point)
            drawing.add(
                .disc(centre: (start.x + x * cell, start.y + y * cell), radius: 3, .number(point.label), hasRim: true))
        }
        drawing.addText(axes.0, (start.x + size / 2, start.y + size + 18))
        drawing.addText(axes.1, (start.x, start.y - 8), .start)
        for (index, name) in classes.enumerated() {
            let x = start.x + Double(index) * 120
            drawing.add(.disc(centre: (x + 4, start.y + size + 36), radius: 4, .number(index), hasRim: false))
            drawing.addText(name, (x + 12, start.y + size + 40), size: 11, .start)
        }
        return drawing
    }
}
