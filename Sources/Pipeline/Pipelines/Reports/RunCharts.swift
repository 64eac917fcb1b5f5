package import Basics
package import Drawings

extension Chart {
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
