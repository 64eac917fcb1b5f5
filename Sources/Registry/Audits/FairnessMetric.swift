/// A number that tells how differently a classifier treats groups, by its key in reports and gates. 0 is the best value of a
/// difference, 1 that of a ratio.
package enum FairnessMetric: String, CaseIterable, CodingKey, Sendable {
    /// Greatest less smallest selection rate.
    case demographicParityDifference = "demographic_parity_difference"
    /// Smallest over greatest selection rate; the four-fifths rule asks for at least 0.8.
    case demographicParityRatio = "demographic_parity_ratio"
    /// Greatest distance of a group's selection rate from that of all.
    case demographicParityDifferenceToOverall = "demographic_parity_difference_to_overall"
    /// Smallest ratio, at most 1, of a group's selection rate and that of all.
    case demographicParityRatioToOverall = "demographic_parity_ratio_to_overall"
    /// The greater one of the differences of true and of false positive rates.
    case equalizedOddsDifference = "equalized_odds_difference"
    /// The mean of the two.
    case equalizedOddsDifferenceMean = "equalized_odds_difference_mean"
    /// The smaller one of the ratios of true and of false positive rates.
    case equalizedOddsRatio = "equalized_odds_ratio"
    /// Difference of true positive rates.
    case equalOpportunityDifference = "equal_opportunity_difference"
    /// Ratio of true positive rates.
    case equalOpportunityRatio = "equal_opportunity_ratio"
    /// Difference of false positive rates.
    case falsePositiveRateDifference = "false_positive_rate_difference"
    /// Difference of precisions.
    case predictiveParityDifference = "predictive_parity_difference"
    /// Difference of accuracies.
    case accuracyDifference = "accuracy_difference"
    /// Selection rate of all other groups together over that of the reference group.
    case disparateImpact = "disparate_impact"
    /// ½ [(FPR_others − FPR_reference) + (TPR_others − TPR_reference)], signed.
    case averageOddsDifference = "average_odds_difference"

    /// Whether 1 is the fair value, rather than 0.
    package var isRatio: Bool {
        switch self {
        case .demographicParityRatio, .demographicParityRatioToOverall, .equalizedOddsRatio, .equalOpportunityRatio,
            .disparateImpact:
            true
        default: false
        }
    }

    /// Distance from the fair value; a ratio counts both ways.
    func unfairness(_ value: Double) -> Double {
        guard isRatio else { return abs(value) }
        return 1 - (value > 1 ? 1 / value : value)
    }
}

/// The value of each fairness metric; what is undefined has a reason instead.
package struct Disparities: Hashable, Sendable {
    private var values: [Double?] = Array(repeating: nil, count: FairnessMetric.allCases.count)
    /// By metric, why it has no value.
    package var reasons: [FairnessMetric: String] = [:]

    package init() {}

    package subscript(metric: FairnessMetric) -> Double? {
        get { values[metric.index] }
        set { values[metric.index] = newValue }
    }

    /// Of each metric the least fair value; undefined as soon as one of them is.
    static func worst(of columns: [(name: String, disparities: Disparities)]) -> Disparities {
        var result = Disparities()
        for metric in FairnessMetric.allCases {
            if let gap = columns.first(where: { $0.disparities[metric] == nil }) {
                result.reasons[metric] = gap.disparities.reasons[metric] ?? "undefined for `\(gap.name)`"
            } else {
                result[metric] = columns.compactMap { $0.disparities[metric] }
                    .max { metric.unfairness($0) < metric.unfairness($1) }
            }
        }
        return result
    }
}

extension FairnessMetric {
    /// Position among all cases.
    var index: Int {
        switch self {
        case .demographicParityDifference: 0
        case .demographicParityRatio: 1
        case .demographicParityDifferenceToOverall: 2
        case .demographicParityRatioToOverall: 3
        case .equalizedOddsDifference: 4
        case .equalizedOddsDifferenceMean: 5
        case .equalizedOddsRatio: 6
        case .equalOpportunityDifference: 7
        case .equalOpportunityRatio: 8
        case .falsePositiveRateDifference: 9
        case .predictiveParityDifference: 10
        case .accuracyDifference: 11
        case .disparateImpact: 12
        case .averageOddsDifference: 13
        }
    }
}
