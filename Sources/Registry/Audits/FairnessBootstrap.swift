internal import Basics

/// Intervals of disparities by drawing as many examples as there are, with replacement, again and again.
///
/// An example matters only through its cell (its groups, its label, its prediction), so a replicate is a count by cell.
struct FairnessBootstrap {
    /// Share of replicates that may leave a metric undefined (a small group was not drawn) before it gets no interval.
    private static let undefinedLimit = 0.05

    private let divisions: [Division]
    private let options: FairnessOptions
    private let cellOfExample: [Int32]
    /// For each cell an example of it.
    private let exampleOfCell: [Int]
    private let labels: [Int]
    private let predictions: [Int]

    init(labels: [Int], predictions: [Int], divisions: [Division], options: FairnessOptions) {
        self.divisions = divisions
        self.options = options
        self.labels = labels
        self.predictions = predictions
        var cells: [[Int]: Int32] = [:]
        var examples: [Int] = []
        cellOfExample = labels.indices.map { row in
            let key = divisions.map { $0.groupOfExample[row] } + [labels[row], predictions[row]]
            if let cell = cells[key] { return cell }
            let cell = Int32(examples.count)
            cells[key] = cell
            examples.append(row)
            return cell
        }
        exampleOfCell = examples
    }

    /// For each division, the interval of each metric that nearly all replicates define.
    func intervals() -> [[FairnessMetric: Interval]] {
        guard options.replicates > 0 else { return divisions.map { _ in [:] } }
        let metrics = FairnessMetric.allCases
        var values = divisions.map { _ in metrics.map { _ in [Double]() } }
        var generator = Philox(seed: options.seed, stream: "fairness bootstrap")
        for _ in 0..<options.replicates {
            let counts = draw(&generator)
            for (index, division) in divisions.enumerated() {
                let disparities = disparities(of: division, counts)
                for metric in metrics {
                    if let value = disparities[metric] { values[index][metric.index].append(value) }
                }
            }
        }
        return values.map { ofDivision in
            var intervals: [FairnessMetric: Interval] = [:]
            for metric in metrics { intervals[metric] = interval(ofDivision[metric.index]) }
            return intervals
        }
    }

    private func draw(_ generator: inout Philox) -> [Int] {
        var counts = [Int](repeating: 0, count: exampleOfCell.count)
        let n = UInt64(cellOfExample.count)
        for _ in cellOfExample.indices {
            // Multiply and shift: each example's chance is 1/n within n/2³².
            let row = Int(truncatingIfNeeded: (UInt64(generator.nextWord()) &* n) >> 32)
            counts[Int(cellOfExample[row])] += 1
        }
        return counts
    }

    private func disparities(of division: Division, _ counts: [Int]) -> Disparities {
        var groups = division.groups
        for index in groups.counts.indices { groups.counts[index] = OutcomeCounts() }
        for (cell, count) in counts.enumerated() {
            let row = exampleOfCell[cell]
            groups.counts[division.groupOfExample[row]].add(
                label: labels[row], prediction: predictions[row], count: count)
        }
        return Disparities(groups, treatsUndefinedAsZero: options.treatsUndefinedAsZero, wantsReasons: false)
    }

    private func interval(_ values: [Double]) -> Interval? {
        let missing = Double(options.replicates - values.count)
        guard !values.isEmpty, missing <= FairnessBootstrap.undefinedLimit * Double(options.replicates) else {
            return nil
        }
        let sorted = values.sorted()
        let tail = (1 - options.confidence) / 2
        return Interval(quantile(ofSorted: sorted, tail), quantile(ofSorted: sorted, 1 - tail))
    }
}
