/// Lines over one axis: a metric across runs, curves of training, a number of each layer.
package struct Chart: Sendable {
    package struct Series: Sendable {
        package var name: String
        /// In the order of x. What is not finite, or not positive on a logarithmic axis, is left out of the picture.
        package var points: [(x: Double, y: Double)]
        /// Whether it belongs to the axis on the right; such a line is dashed.
        package var isOnRight: Bool

        package init(name: String, points: [(x: Double, y: Double)], isOnRight: Bool = false) {
            self.name = name
            self.points = points
            self.isOnRight = isOnRight
        }
    }

    package var title: String
    package var xTitle: String
    /// Above the left axis.
    package var yTitle = ""
    /// Above the right axis.
    package var rightTitle = ""
    package var series: [Series]
    /// Names of x = 0, 1, …; nil where x is a number.
    package var labels: [String]?
    /// Whether the left axis counts powers of ten.
    package var isLogarithmic = false

    package init(
        title: String, xTitle: String, yTitle: String = "", rightTitle: String = "", series: [Series],
        labels: [String]? = nil, isLogarithmic: Bool = false
    ) {
        self.title = title
        self.xTitle = xTitle
        self.yTitle = yTitle
        self.rightTitle = rightTitle
        self.series = series
        self.labels = labels
        self.isLogarithmic = isLogarithmic
    }

    /// A file name for it.
    package var fileName: String {
        String(title.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? $0 : "_" }) + ".svg"
    }

    /// The smallest and largest of both axes, never empty.
    package var bounds: (x: ClosedRange<Double>, y: ClosedRange<Double>) {
        let points = series.flatMap(\.points)
        return (Chart.range(points.map { $0.x }), Chart.range(points.map { $0.y }))
    }

    /// The smallest and largest of `values`, never empty.
    static func range(_ values: [Double]) -> ClosedRange<Double> {
        let (low, high) = (values.min() ?? 0, values.max() ?? 1)
        guard low == high else { return low...high }
        let margin = low == 0 ? 1 : abs(low) * 0.1
        return (low - margin)...(high + margin)
    }

    /// Round numbers within `range`, about `count` of them.
    package static func ticks(_ range: ClosedRange<Double>, count: Int) -> [Double] {
        let rough = (range.upperBound - range.lowerBound) / Double(max(1, count))
        guard rough > 0, rough.isFinite else { return [range.lowerBound] }
        var power = 1.0
        while power * 10 <= rough { power *= 10 }
        while power > rough { power /= 10 }
        let step = [1.0, 2, 5, 10].map { $0 * power }.first { $0 >= rough } ?? rough
        let first = (range.lowerBound / step).rounded(.up)
        let last = (range.upperBound / step).rounded(.down)
        guard first <= last else { return [range.lowerBound] }
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }
}
