internal import Basics

/// A column that says which group each example belongs to.
package struct SensitiveColumn: Sendable {
    package var name: String
    /// One value an example.
    package var values: [String]

    package init(name: String, values: [String]) {
        self.name = name
        self.values = values
    }
}

/// What a fairness audit looks at.
package struct FairnessOptions: Sendable {
    /// Groups of fewer examples are marked as small; their rates count all the same.
    package var minimumGroupSize = 30
    package var confidence = 0.95
    /// Bootstrap replicates; 0 for none.
    package var replicates = 1000
    package var seed: UInt64 = 0
    /// Whether the groups of all columns together are reported too.
    package var includesIntersection = true
    /// By column, the group that the others are compared with.
    package var references: [String: String] = [:]
    /// Gives a rate without examples the value 0, as fairlearn does, rather than leaving what needs it undefined.
    package var treatsUndefinedAsZero = false

    package init() {}
}

extension FairnessReport {
    /// Compares how `predictions` of the groups meet their `labels`.
    ///
    /// - Parameters:
    ///   - labels: 1 for the positive class, else 0.
    ///   - predictions: 1 for a selected example, else 0.
    ///   - scores: the probability of the positive class, for calibration by group.
    /// - Throws: `MLOpsError` of kind `.failed` if the counts differ, there is no example or no column, a label or a prediction is
    ///   neither 0 nor 1, or a reference group does not occur.
    package init(
        labels: [Int], predictions: [Int], columns: [SensitiveColumn], scores: [Double]? = nil,
        options: FairnessOptions = FairnessOptions()
    ) throws {
        try FairnessReport.check(labels: labels, predictions: predictions, columns: columns, scores: scores)
        var divisions = try columns.map { try Division($0, options: options) }
        if columns.count > 1, options.includesIntersection { divisions.append(Division(intersectionOf: columns)) }
        for index in divisions.indices {
            divisions[index].count(labels: labels, predictions: predictions)
        }
        let samples = FairnessBootstrap(
            labels: labels, predictions: predictions, divisions: divisions, options: options
        ).intervals()
        by = [:]
        var single: [(name: String, disparities: Disparities)] = []
        for (division, intervals) in zip(divisions, samples) {
            let report = division.report(labels: labels, scores: scores, intervals: intervals, options: options)
            by[division.name] = report
            if !division.isIntersection { single.append((division.name, report.disparities)) }
        }
        disparities = Disparities.worst(of: single)
        count = labels.count
        minimumGroupSize = options.minimumGroupSize
        confidence = options.confidence
        replicates = options.replicates
        seed = options.seed
    }

    private static func check(
        labels: [Int], predictions: [Int], columns: [SensitiveColumn], scores: [Double]?
    ) throws {
        guard !labels.isEmpty else { throw MLOpsError(.failed, "there are no examples to audit for fairness") }
        guard !columns.isEmpty else {
            throw MLOpsError(
                .failed, "a fairness audit needs at least one sensitive column",
                hint: "name it, such as `groups: [sex]`")
        }
        let counts = [predictions.count, scores?.count ?? labels.count] + columns.map(\.values.count)
        if let wrong = counts.first(where: { $0 != labels.count }) {
            throw MLOpsError(.failed, "\(wrong) predictions, scores or groups do not fit \(labels.count) labels")
        }
        for (what, values) in [("label", labels), ("prediction", predictions)] {
            if let index = values.firstIndex(where: { $0 != 0 && $0 != 1 }) {
                throw MLOpsError(
                    .failed, "example \(index) has the \(what) \(values[index]), expected 0 or 1",
                    hint: "a fairness audit needs a binary classifier")
            }
        }
        let names = columns.map(\.name)
        if Set(names).count < names.count {
            throw MLOpsError(.failed, "a sensitive column is named twice among `\(names.joined(separator: "`, `"))`")
        }
    }
}

/// The examples divided into the groups of one column or of an intersection.
struct Division: Sendable {
    let name: String
    let isIntersection: Bool
    /// Index of its group for each example.
    let groupOfExample: [Int]
    let chosenReference: Int?
    var groups: GroupCounts

    init(_ column: SensitiveColumn, options: FairnessOptions) throws {
        self.init(
            name: column.name, values: column.values, isIntersection: false, reference: options.references[column.name])
        if let wanted = options.references[column.name], chosenReference == nil {
            throw MLOpsError(
                .failed, "the reference group `\(wanted)` does not occur in `\(column.name)`",
                hint: "the groups are `\(groups.names.joined(separator: "`, `"))`")
        }
    }

    init(intersectionOf columns: [SensitiveColumn]) {
        let values = columns[0].values.indices.map { row in columns.map { $0.values[row] }.joined(separator: "+") }
        self.init(
            name: columns.map(\.name).joined(separator: "+"), values: values, isIntersection: true, reference: nil)
    }

    private init(name: String, values: [String], isIntersection: Bool, reference: String?) {
        self.name = name
        self.isIntersection = isIntersection
        let names = Set(values).sorted()
        let indices = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
        groupOfExample = values.compactMap { indices[$0] }
        chosenReference = reference.flatMap { indices[$0] }
        let none = Array(repeating: OutcomeCounts(), count: names.count)
        groups = GroupCounts(column: name, names: names, counts: none, reference: chosenReference ?? 0)
    }

    mutating func count(labels: [Int], predictions: [Int]) {
        for (index, group) in groupOfExample.enumerated() {
            groups.counts[group].add(label: labels[index], prediction: predictions[index])
        }
        guard chosenReference == nil else { return }
        let rates = groups.counts.map { $0.value(.selectionRate) ?? 0 }
        for (index, rate) in rates.enumerated() where rate > rates[groups.reference] { groups.reference = index }
    }

    func report(
        labels: [Int], scores: [Double]?, intervals: [FairnessMetric: Interval], options: FairnessOptions
    ) -> FairnessByColumn {
        var reports: [String: GroupFairness] = [:]
        let members = Dictionary(grouping: labels.indices) { groupOfExample[$0] }
        for (index, name) in groups.names.enumerated() {
            let calibration = scores.flatMap { scores in
                let rows = members[index] ?? []
                return calibrationError(confidences: rows.map { scores[$0] }, outcomes: rows.map { labels[$0] == 1 })
            }
            reports[name] = GroupFairness(groups.counts[index], calibrationError: calibration, options: options)
        }
        return FairnessByColumn(
            disparities: Disparities(groups, treatsUndefinedAsZero: options.treatsUndefinedAsZero),
            intervals: intervals, groups: reports, reference: groups.names[groups.reference],
            smallGroups: groups.names.filter { reports[$0]?.isSmall == true }, isIntersection: isIntersection)
    }
}

extension GroupFairness {
    fileprivate init(_ outcomes: OutcomeCounts, calibrationError: Double?, options: FairnessOptions) {
        func value(_ rate: GroupRate) -> Double? {
            outcomes.value(rate) ?? (options.treatsUndefinedAsZero ? 0 : nil)
        }
        var intervals: [String: Interval] = [:]
        var undefined: [String: String] = [:]
        for rate in GroupRate.allCases {
            let (part, whole) = outcomes.fraction(rate)
            intervals[rate.rawValue] = wilsonInterval(part, of: whole, confidence: options.confidence)
            if whole == 0 { undefined[rate.rawValue] = "the group \(rate.lack)" }
        }
        self.init(
            count: outcomes.count, positives: outcomes.positives, selected: outcomes.selected, outcomes: outcomes,
            selectionRate: value(.selectionRate), truePositiveRate: value(.truePositiveRate),
            falsePositiveRate: value(.falsePositiveRate), precision: value(.precision), accuracy: value(.accuracy),
            calibrationError: calibrationError, intervals: intervals,
            isSmall: outcomes.count < options.minimumGroupSize, undefined: undefined)
    }
}
