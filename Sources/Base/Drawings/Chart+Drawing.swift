internal import Basics
internal import Foundation

extension Chart {
    private static let legendLimit = 12

    package var svg: String { drawing.svg }
    package var png: [UInt8] { drawing.png }

    /// Where the curves are drawn, in points.
    private struct Frame {
        let left = 76.0, top = 44.0, width = 520.0, height = 260.0
        let x: ClosedRange<Double>
        let y: ClosedRange<Double>
        let right: ClosedRange<Double>

        var bottom: Double { top + height }
        var end: Double { left + width }

        func horizontal(_ value: Double) -> Double {
            left + width * (value - x.lowerBound) / (x.upperBound - x.lowerBound)
        }
        func vertical(_ value: Double, isOnRight: Bool = false) -> Double {
            let range = isOnRight ? right : y
            return top + height * (1 - (value - range.lowerBound) / (range.upperBound - range.lowerBound))
        }
    }

    /// The series with what can be drawn of them: logarithms on a logarithmic axis.
    private var shown: [Series] {
        series.map { series in
            var series = series
            let isLogarithmic = isLogarithmic && !series.isOnRight
            series.points = series.points.compactMap { point in
                let y = isLogarithmic ? log10(point.y) : point.y
                return y.isFinite && point.x.isFinite ? (point.x, y) : nil
            }
            return series
        }
    }

    package var drawing: Drawing {
        let shown = shown
        func range(_ isOnRight: Bool) -> ClosedRange<Double> {
            let whole = Chart.range(shown.filter { $0.isOnRight == isOnRight }.flatMap { $0.points.map(\.y) })
            let margin = (whole.upperBound - whole.lowerBound) * 0.05
            return (whole.lowerBound - margin)...(whole.upperBound + margin)
        }
        let frame = Frame(
            x: Chart.range(shown.flatMap { $0.points.map(\.x) }), y: range(false), right: range(true))
        let hasRight = shown.contains(where: \.isOnRight)
        let legend = frame.end + (hasRight ? 56 : 16)
        let longest = series.prefix(Chart.legendLimit).map(\.name.count).max() ?? 0
        let width = series.count > 1 ? legend + max(114, 32 + 7 * Double(longest)) : legend + 8
        var drawing = Drawing(width: width.rounded(.up), height: 360, title: title)
        drawing.addText(shortened(title, to: 70), (frame.left, 22), size: 15, .start, isBold: true)
        drawAxes(frame, hasRight: hasRight, on: &drawing)
        for (index, series) in shown.enumerated() { draw(series, .number(index), frame, on: &drawing) }
        if series.count > 1 { drawLegend(legend, frame, on: &drawing) }
        return drawing
    }

    private func drawAxes(_ frame: Frame, hasRight: Bool, on drawing: inout Drawing) {
        for tick in Chart.ticks(frame.y, count: 5) {
            let y = frame.vertical(tick)
            drawing.addLine((frame.left, y), (frame.end, y), .grid)
            drawing.addText(isLogarithmic ? Chart.power(tick) : Chart.label(tick), (frame.left - 8, y + 4), .end)
        }
        drawing.addText(yTitle, (8, frame.top - 6), size: 11, .start)
        if hasRight {
            for tick in Chart.ticks(frame.right, count: 5) {
                drawing.addText(
                    Chart.label(tick), (frame.end + 8, frame.vertical(tick, isOnRight: true) + 4), .start)
            }
            drawing.addText(rightTitle, (frame.end + 44, frame.top - 6), size: 11, .end)
        }
        drawing.addLine((frame.left, frame.bottom), (frame.end, frame.bottom), Colour(0x333333))
        drawing.addText(xTitle, (frame.left + frame.width / 2, 350))
        for tick in Chart.ticks(frame.x, count: 8) where tick == tick.rounded() {
            var text = Chart.label(tick)
            if let labels {
                guard labels.indices.contains(Int(tick)) else { continue }
                text = labels[Int(tick)]
            }
            drawing.addText(text, (frame.horizontal(tick), frame.bottom + 18))
        }
    }

    /// `tick` without the noise of its last binary digits.
    private static func label(_ tick: Double) -> String {
        let rounded = Double(Format.number(tick)) ?? tick
        return JSONValue.double(rounded).canonicalText
    }

    /// Ten to the power of `tick`.
    private static func power(_ tick: Double) -> String { String(format: "%.2g", pow(10, tick)) }

    private func draw(_ series: Series, _ colour: Colour, _ frame: Frame, on drawing: inout Drawing) {
        let places = series.points.map {
            (x: frame.horizontal($0.x), y: frame.vertical($0.y, isOnRight: series.isOnRight))
        }
        drawing.add(.curve(places, colour, width: 2, isDashed: series.isOnRight))
        guard places.count <= 60 else { return }
        for place in places { drawing.add(.disc(centre: place, radius: 3, colour, hasRim: false)) }
    }

    private func drawLegend(_ left: Double, _ frame: Frame, on drawing: inout Drawing) {
        for (index, series) in series.prefix(Chart.legendLimit).enumerated() {
            let y = frame.top + 10 + Double(index) * 20
            drawing.add(.curve([(left, y), (left + 18, y)], .number(index), width: 3, isDashed: series.isOnRight))
            drawing.addText(series.name, (left + 24, y + 4), .start)
        }
        if series.count > Chart.legendLimit {
            let y = frame.top + 14 + Double(Chart.legendLimit) * 20
            drawing.addText("and \(series.count - Chart.legendLimit) more", (left, y), .start)
        }
    }
}
