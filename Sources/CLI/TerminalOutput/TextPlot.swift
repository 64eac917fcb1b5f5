internal import Basics

/// Lines drawn with the dots of Braille: two by four in each cell of the terminal.
package struct TextPlot: Sendable {
    package typealias Points = [(x: Double, y: Double)]

    package var title: String
    /// Each line with its name; the tones tell them apart, and a letter where there is no colour.
    package var series: [(name: String, points: Points)]
    /// Left and right end of the axis, in words.
    package var ends: (left: String, right: String)
    package var height = 8

    private static let tones: [TextStyle.Tone] = [.accent, .caution, .good, .bad, .heading]

    package init(title: String, series: [(name: String, points: Points)], ends: (left: String, right: String)) {
        self.title = title
        self.series = series
        self.ends = ends
    }

    private struct Canvas {
        let width: Int, height: Int
        var dots: [UInt8]
        var owner: [Int]

        init(width: Int, height: Int) {
            self.width = width
            self.height = height
            dots = Array(repeating: 0, count: width * height)
            owner = Array(repeating: -1, count: width * height)
        }

        private static let bits: [[UInt8]] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]]

        mutating func mark(_ x: Int, _ y: Int, _ series: Int) {
            guard (0..<width * 2).contains(x), (0..<height * 4).contains(y) else { return }
            let cell = y / 4 * width + x / 2
            dots[cell] |= Canvas.bits[x % 2][y % 4]
            owner[cell] = series
        }

        mutating func line(_ from: (x: Int, y: Int), _ to: (x: Int, y: Int), _ series: Int) {
            let steps = max(abs(to.x - from.x), abs(to.y - from.y), 1)
            for step in 0...steps {
                let share = Double(step) / Double(steps)
                mark(
                    from.x + Int((Double(to.x - from.x) * share).rounded()),
                    from.y + Int((Double(to.y - from.y) * share).rounded()), series)
            }
        }
    }

    /// The plot's lines; empty without points.
    package func text(_ style: TextStyle) -> String {
        let points = series.flatMap { $0.points }
        guard let (left, right) = range(points.map { $0.x }), let (low, high) = range(points.map { $0.y }) else {
            return ""
        }
        let labels = [high, low].map { Format.number($0) }
        let margin = labels.map { displayWidth($0) }.max() ?? 0
        let width = min(72, max(16, (style.width ?? 80) - margin - 3))
        var canvas = Canvas(width: width, height: height)
        func place(_ point: (x: Double, y: Double)) -> (x: Int, y: Int) {
            (
                Int(((point.x - left) / (right - left) * Double(width * 2 - 1)).rounded()),
                Int(((high - point.y) / (high - low) * Double(height * 4 - 1)).rounded())
            )
        }
        for (index, line) in series.enumerated() {
            let places = line.points.map(place)
            if let only = places.first { canvas.mark(only.x, only.y, index) }
            for (from, to) in zip(places, places.dropFirst()) { canvas.line(from, to, index) }
        }
        var lines = [style(printable(title), .heading)]
        for row in 0..<height {
            let label = row == 0 ? labels[0] : row == height - 1 ? labels[1] : ""
            lines.append(padded(label, to: margin, .right) + " │" + cells(canvas, row, style))
        }
        let space = padded("", to: max(1, width - displayWidth(ends.left) - displayWidth(ends.right)))
        lines.append(padded("", to: margin) + " └" + String(repeating: "─", count: width))
        lines.append(padded("", to: margin + 2) + style(printable(ends.left) + space + printable(ends.right), .faint))
        if series.count > 1 { lines.append(legend(margin, style)) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func cells(_ canvas: Canvas, _ row: Int, _ style: TextStyle) -> String {
        (0..<canvas.width).map { column in
            let cell = row * canvas.width + column
            guard canvas.dots[cell] != 0, let scalar = Unicode.Scalar(0x2800 + UInt32(canvas.dots[cell])) else {
                return " "
            }
            return style(String(scalar), TextPlot.tones[canvas.owner[cell] % TextPlot.tones.count])
        }.joined()
    }

    private func legend(_ margin: Int, _ style: TextStyle) -> String {
        let names = series.prefix(5).enumerated().map { style("⠒ " + printable($1.name), TextPlot.tones[$0]) }
        let rest = series.count > 5 ? ["and \(series.count - 5) more"] : []
        return padded("", to: margin + 2) + (names + rest).joined(separator: "  ")
    }

    private func range(_ values: [Double]) -> (Double, Double)? {
        guard let low = values.min(), let high = values.max(), low.isFinite, high.isFinite else { return nil }
        if low < high { return (low, high) }
        let margin = low == 0 ? 1 : abs(low) * 0.1
        return (low - margin, high + margin)
    }
}
