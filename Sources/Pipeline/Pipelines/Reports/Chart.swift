package import Basics

/// Lines over one axis: a metric across runs, or curves of training.
package struct Chart: Sendable {
    package struct Series: Sendable {
        package var name: String
        /// In the order of x; finite.
        package var points: [(x: Double, y: Double)]
    }

    package var title: String
    package var xTitle: String
    package var series: [Series]
    /// Names of x = 0, 1, …; nil where x is a number.
    package var labels: [String]?

    /// One chart a metric: its values across `runs`, in their order.
    package static func across(_ runs: [RecordedRun], metrics: [String]) -> [Chart] {
        metrics.compactMap { metric in
            let points = runs.indices.compactMap { index -> (x: Double, y: Double)? in
                guard let y = runs[index].value(of: metric)?.number, y.isFinite else { return nil }
                return (Double(index), y)
            }
            guard !points.isEmpty else { return nil }
            return Chart(
                title: metric, xTitle: "run", series: [Series(name: metric, points: points)],
                labels: runs.map { String($0.id.suffix(6)) })
        }
    }

    /// One chart a quantity of each stage's `history`: its curve in each run.
    package static func curves(_ runs: [RecordedRun]) -> [Chart] {
        var charts: [String: Chart] = [:]
        for run in runs {
            for stage in run.stages {
                for (name, points) in TrainingCurve.all(of: stage.metrics) where points.count > 1 {
                    let title = "\(stage.name).\(name) by epoch"
                    charts[title, default: Chart(title: title, xTitle: "epoch", series: [])].series.append(
                        Series(name: String(run.id.suffix(6)), points: points))
                }
            }
        }
        return charts.values.sorted { $0.title < $1.title }
    }

    /// A file name for it.
    package var fileName: String {
        String(title.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? $0 : "_" }) + ".svg"
    }

    /// The smallest and largest of both axes, never empty.
    package var bounds: (x: ClosedRange<Double>, y: ClosedRange<Double>) {
        let points = series.flatMap(\.points)
        func range(_ values: [Double]) -> ClosedRange<Double> {
            let (low, high) = (values.min() ?? 0, values.max() ?? 1)
            guard low == high else { return low...high }
            let margin = low == 0 ? 1 : abs(low) * 0.1
            return (low - margin)...(high + margin)
        }
        return (range(points.map { $0.x }), range(points.map { $0.y }))
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

/// The curves that a stage's metrics hold under `history`: a list of objects with numbers, one an epoch.
package enum TrainingCurve {
    package static func all(of metrics: JSONValue?) -> [String: [(x: Double, y: Double)]] {
        var curves: [String: [(x: Double, y: Double)]] = [:]
        let rows = metrics?["history"]?.array ?? metrics?["history"]?["epochs"]?.array ?? []
        for (index, row) in rows.enumerated() {
            let x = row["epoch"]?.number ?? Double(index + 1)
            collect(row, "") { name, y in
                if name != "epoch", y.isFinite { curves[name, default: []].append((x, y)) }
            }
        }
        return curves
    }

    private static func collect(_ value: JSONValue, _ path: String, _ body: (String, Double) -> Void) {
        if let number = value.number { return body(path, number) }
        for (key, member) in value.object ?? [:] { collect(member, path.isEmpty ? key : "\(path).\(key)", body) }
    }
}
