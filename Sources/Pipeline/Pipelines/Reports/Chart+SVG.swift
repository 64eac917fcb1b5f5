internal import Basics

extension Chart {
    /// Colours that people who see few of them can tell apart (Okabe and Ito, 2008).
    private static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
    private static let legendLimit = 12

    /// Where the curves are drawn, in the picture's points.
    private struct Frame {
        let left = 76.0, top = 44.0, width = 520.0, height = 260.0
        let x: ClosedRange<Double>, y: ClosedRange<Double>

        func horizontal(_ value: Double) -> Double {
            left + width * (value - x.lowerBound) / (x.upperBound - x.lowerBound)
        }
        func vertical(_ value: Double) -> Double {
            top + height * (1 - (value - y.lowerBound) / (y.upperBound - y.lowerBound))
        }
    }

    /// The chart as a picture that stands for itself: no scripts, no fonts, no links.
    package var svg: String {
        let (x, y) = bounds
        let margin = (y.upperBound - y.lowerBound) * 0.05
        let frame = Frame(x: x, y: (y.lowerBound - margin)...(y.upperBound + margin))
        let hasLegend = series.count > 1
        let width = frame.left + frame.width + (hasLegend ? 130 : 24)
        var parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Int(width))" height="360" viewBox="0 0 \(Int(width)) 360" \
            font-family="sans-serif" font-size="12" role="img">
            <title>\(ReportText.xml(title))</title>
            <rect width="100%" height="100%" fill="#fff"/>
            <text x="\(Int(frame.left))" y="26" font-size="15" font-weight="bold">\(ReportText.xml(truncated(title)))</text>
            """
        ]
        parts += yAxis(frame) + xAxis(frame)
        parts += series.enumerated().map { line($1, Chart.colors[$0 % Chart.colors.count], frame) }
        if hasLegend { parts += legend(frame) }
        return (parts + ["</svg>", ""]).joined(separator: "\n")
    }

    private func truncated(_ text: String) -> String { text.count > 70 ? text.prefix(69) + "…" : text }

    private func point(_ value: Double) -> String { Format.fixed(value, 1) }

    private func yAxis(_ frame: Frame) -> [String] {
        Chart.ticks(frame.y, count: 5).map { tick in
            let y = point(frame.vertical(tick))
            return """
                <line x1="\(Int(frame.left))" x2="\(Int(frame.left + frame.width))" y1="\(y)" y2="\(y)" stroke="#ddd"/>
                <text x="\(Int(frame.left - 8))" y="\(y)" dy="4" text-anchor="end">\(Chart.label(tick))</text>
                """
        }
    }

    /// `tick` without the noise of its last binary digits.
    static func label(_ tick: Double) -> String {
        let rounded = Double(Format.number(tick)) ?? tick
        return JSONValue.double(rounded).canonicalText
    }

    private func xAxis(_ frame: Frame) -> [String] {
        let bottom = frame.top + frame.height
        var parts = [
            """
            <line x1="\(Int(frame.left))" x2="\(Int(frame.left + frame.width))" y1="\(Int(bottom))" y2="\(Int(bottom))" stroke="#333"/>
            <text x="\(Int(frame.left + frame.width / 2))" y="350" text-anchor="middle">\(ReportText.xml(xTitle))</text>
            """
        ]
        let whole = Chart.ticks(frame.x, count: 8).filter { $0 == $0.rounded() }
        for tick in whole {
            var text = Chart.label(tick)
            if let labels {
                guard labels.indices.contains(Int(tick)) else { continue }
                text = labels[Int(tick)]
            }
            parts.append(
                "<text x=\"\(point(frame.horizontal(tick)))\" y=\"\(Int(bottom + 18))\" text-anchor=\"middle\">\(ReportText.xml(text))</text>"
            )
        }
        return parts
    }

    private func line(_ series: Series, _ color: String, _ frame: Frame) -> String {
        let places = series.points.map { (point(frame.horizontal($0.x)), point(frame.vertical($0.y))) }
        let path = places.map { "\($0.0),\($0.1)" }.joined(separator: " ")
        var parts = ["<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\"/>"]
        if series.points.count <= 60 {
            parts += places.map { "<circle cx=\"\($0.0)\" cy=\"\($0.1)\" r=\"3\" fill=\"\(color)\"/>" }
        }
        return parts.joined(separator: "\n")
    }

    private func legend(_ frame: Frame) -> [String] {
        let left = Int(frame.left + frame.width + 16)
        var parts = series.prefix(Chart.legendLimit).enumerated().map { index, series in
            let y = Int(frame.top) + 10 + index * 20
            return """
                <line x1="\(left)" x2="\(left + 18)" y1="\(y)" y2="\(y)" stroke="\(Chart.colors[index % Chart.colors.count])" stroke-width="3"/>
                <text x="\(left + 24)" y="\(y + 4)">\(ReportText.xml(series.name))</text>
                """
        }
        if series.count > Chart.legendLimit {
            let y = Int(frame.top) + 14 + Chart.legendLimit * 20
            parts.append("<text x=\"\(left)\" y=\"\(y)\">and \(series.count - Chart.legendLimit) more</text>")
        }
        return parts
    }
}
