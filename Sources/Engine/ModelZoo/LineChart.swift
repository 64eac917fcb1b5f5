internal import Basics
internal import Foundation

/// Lines over a pair of axes, as SVG.
package struct LineChart: Sendable {
    package struct Series: Sendable {
        package var name: String
        package var points: [(x: Double, y: Double)]
        /// Whether it belongs to the axis on the right.
        package var isOnRight: Bool

        package init(_ name: String, _ points: [(x: Double, y: Double)], isOnRight: Bool = false) {
            self.name = name
            self.points = points
            self.isOnRight = isOnRight
        }
    }

    package var title: String
    package var horizontal: String
    package var vertical: String
    /// Of the axis on the right; nil without one.
    package var right: String?
    /// Whether the left axis counts powers of ten.
    package var isLogarithmic = false
    package var series: [Series]

    private static let size = (width: 640.0, height: 360.0)
    private static let frame = (left: 64.0, top: 48.0, right: 576.0, bottom: 300.0)
    private static let colours = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a"]

    package init(title: String, horizontal: String, vertical: String, right: String? = nil, series: [Series]) {
        self.title = title
        self.horizontal = horizontal
        self.vertical = vertical
        self.right = right
        self.series = series
    }

    /// The document; values that are not finite (and not positive on a logarithmic axis) are left out.
    package var svg: String {
        let shown = series.map { series -> Series in
            var series = series
            let isLogarithmic = isLogarithmic && !series.isOnRight
            series.points = series.points.compactMap { point in
                let y = isLogarithmic ? log10(point.y) : point.y
                return y.isFinite && point.x.isFinite ? (point.x, y) : nil
            }
            return series
        }
        let x = Axis(shown.flatMap { $0.points.map(\.x) })
        let left = Axis(shown.filter { !$0.isOnRight }.flatMap { $0.points.map(\.y) })
        let other = Axis(shown.filter(\.isOnRight).flatMap { $0.points.map(\.y) })
        var text = SVG.head(LineChart.size.width, LineChart.size.height)
        let frame = LineChart.frame
        text += SVG.text(title, frame.left, 18, size: 15, anchor: "start")
        text += grid(x, left, other)
        for (index, line) in shown.enumerated() {
            let colour = LineChart.colours[index % LineChart.colours.count]
            let axis = line.isOnRight ? other : left
            let points = line.points.map { point in
                SVG.number(x.place(point.x, from: frame.left, to: frame.right)) + ","
                    + SVG.number(axis.place(point.y, from: frame.bottom, to: frame.top))
            }
            let dash = line.isOnRight ? " stroke-dasharray=\"5 3\"" : ""
            text +=
                "<polyline points=\"\(points.joined(separator: " "))\" fill=\"none\" stroke=\"\(colour)\" "
                + "stroke-width=\"1.8\"\(dash)/>\n"
            let place = frame.left + Double(index) * 150
            text += "<rect x=\"\(SVG.number(place))\" y=\"342\" width=\"12\" height=\"4\" fill=\"\(colour)\"/>\n"
            text += SVG.text(line.name, place + 17, 348, size: 11, anchor: "start")
        }
        return text + "</svg>\n"
    }

    private func grid(_ x: Axis, _ left: Axis, _ other: Axis) -> String {
        let frame = LineChart.frame
        var text = ""
        for value in left.ticks {
            let y = SVG.number(left.place(value, from: frame.bottom, to: frame.top))
            text +=
                "<line x1=\"\(SVG.number(frame.left))\" y1=\"\(y)\" x2=\"\(SVG.number(frame.right))\" y2=\"\(y)\" stroke=\"#d0d7de\"/>\n"
            let label = isLogarithmic ? String(format: "%.2g", pow(10, value)) : Format.number(value)
            text += SVG.text(
                label, frame.left - 6, left.place(value, from: frame.bottom, to: frame.top) + 4, size: 11, anchor: "end"
            )
        }
        for value in x.ticks {
            text += SVG.text(
                Format.number(value), x.place(value, from: frame.left, to: frame.right), frame.bottom + 16, size: 11)
        }
        if let right {
            for value in other.ticks {
                text += SVG.text(
                    Format.number(value), frame.right + 6, other.place(value, from: frame.bottom, to: frame.top) + 4,
                    size: 11, anchor: "start")
            }
            text += SVG.text(right, frame.right, frame.top - 14, size: 11, anchor: "end")
        }
        text += SVG.text(vertical, 8, frame.top - 14, size: 11, anchor: "start")
        return text + SVG.text(horizontal, (frame.left + frame.right) / 2, frame.bottom + 32, size: 11)
    }
}

/// The range of some values, widened to round numbers.
private struct Axis {
    let low: Double
    let high: Double
    let step: Double

    init(_ values: [Double]) {
        let least = values.min() ?? 0
        let most = values.max() ?? 1
        let span = most > least ? most - least : max(abs(most), 1)
        let power = pow(10, (log10(span / 4)).rounded(.down))
        let step = [1, 2, 5, 10].map { $0 * power }.first { span / $0 <= 6 } ?? power * 10
        self.step = step
        low = (least / step).rounded(.down) * step
        high = max((most / step).rounded(.up) * step, low + step)
    }

    var ticks: [Double] { (0...Int(((high - low) / step).rounded())).map { low + Double($0) * step } }

    func place(_ value: Double, from start: Double, to end: Double) -> Double {
        start + (value - low) / (high - low) * (end - start)
    }
}

/// Pieces of SVG documents.
enum SVG {
    static func head(_ width: Double, _ height: Double) -> String {
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(number(width)) \(number(height))\" "
            + "width=\"\(number(width))\" height=\"\(number(height))\" font-family=\"sans-serif\">\n"
            + "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    }

    static func text(
        _ text: String, _ x: Double, _ y: Double, size: Int, anchor: String = "middle", colour: String = "#24292f"
    ) -> String {
        let safe = printable(text).replacing("&", with: "&amp;").replacing("<", with: "&lt;")
        return
            "<text x=\"\(number(x))\" y=\"\(number(y))\" font-size=\"\(size)\" text-anchor=\"\(anchor)\" fill=\"\(colour)\">\(safe)</text>\n"
    }

    static func number(_ value: Double) -> String { Format.number((value * 10).rounded() / 10) }
}
