/// Examples of one group by true label and prediction.
package struct OutcomeCounts: Codable, Hashable, Sendable {
    package var truePositives = 0
    package var falsePositives = 0
    package var falseNegatives = 0
    package var trueNegatives = 0

    enum CodingKeys: String, CodingKey {
        case truePositives = "tp"
        case falsePositives = "fp"
        case falseNegatives = "fn"
        case trueNegatives = "tn"
    }

    package init() {}

    /// Adds `count` examples.
    mutating func add(label: Int, prediction: Int, count: Int = 1) {
        switch (label, prediction) {
        case (1, 1): truePositives += count
        case (0, 1): falsePositives += count
        case (1, 0): falseNegatives += count
        default: trueNegatives += count
        }
    }

    static func + (left: OutcomeCounts, right: OutcomeCounts) -> OutcomeCounts {
        var sum = left
        sum.truePositives += right.truePositives
        sum.falsePositives += right.falsePositives
        sum.falseNegatives += right.falseNegatives
        sum.trueNegatives += right.trueNegatives
        return sum
    }

    package var count: Int { truePositives + falsePositives + falseNegatives + trueNegatives }
    package var positives: Int { truePositives + falseNegatives }
    package var negatives: Int { falsePositives + trueNegatives }
    package var selected: Int { truePositives + falsePositives }

    /// Numerator and denominator of a rate.
    func fraction(_ rate: GroupRate) -> (part: Int, whole: Int) {
        switch rate {
        case .selectionRate: (selected, count)
        case .truePositiveRate: (truePositives, positives)
        case .falsePositiveRate: (falsePositives, negatives)
        case .precision: (truePositives, selected)
        case .accuracy: (truePositives + trueNegatives, count)
        }
    }

    /// The rate; nil where its denominator is 0.
    package func value(_ rate: GroupRate) -> Double? {
        let (part, whole) = fraction(rate)
        return whole > 0 ? Double(part) / Double(whole) : nil
    }
}

/// A share of the examples of a group, by its key in reports.
package enum GroupRate: String, CaseIterable, CodingKey, Sendable {
    /// P(h = 1)
    case selectionRate = "selection_rate"
    /// P(h = 1 | y = 1)
    case truePositiveRate = "tpr"
    /// P(h = 1 | y = 0)
    case falsePositiveRate = "fpr"
    /// P(y = 1 | h = 1)
    case precision = "ppv"
    /// P(h = y)
    case accuracy

    /// What a group lacks when the rate is undefined.
    var lack: String {
        switch self {
        case .selectionRate, .accuracy: "has no example"
        case .truePositiveRate: "has no positive example"
        case .falsePositiveRate: "has no negative example"
        case .precision: "has no example that the model selects"
        }
    }
}
