/// The groups of one sensitive column, in the order of their names.
struct GroupCounts: Sendable {
    /// How the column is called in reasons.
    let column: String
    let names: [String]
    var counts: [OutcomeCounts]
    /// Index of the group that the others are compared with.
    var reference: Int

    var overall: OutcomeCounts { counts.reduce(OutcomeCounts(), +) }
}

extension Disparities {
    /// The disparities between `groups`.
    ///
    /// - Parameter treatsUndefinedAsZero: gives a rate without examples the value 0, as fairlearn does; otherwise each metric
    ///   that needs it is undefined.
    init(_ groups: GroupCounts, treatsUndefinedAsZero: Bool = false, wantsReasons: Bool = true) {
        self.init()
        var computation = Computation(
            groups: groups, treatsUndefinedAsZero: treatsUndefinedAsZero, wantsReasons: wantsReasons)
        computation.run()
        self = computation.result
    }

    private struct Computation {
        let groups: GroupCounts
        let treatsUndefinedAsZero: Bool
        let wantsReasons: Bool
        var result = Disparities()

        /// Smallest and greatest rate of the groups, or why there is none.
        private enum Range {
            case known(least: Double, greatest: Double, all: [Double])
            case unknown(String)
        }

        mutating func run() {
            let selection = range(.selectionRate)
            let sensitivity = range(.truePositiveRate)
            let alarms = range(.falsePositiveRate)
            set(.demographicParityDifference, difference(selection))
            set(.demographicParityRatio, ratio(selection, "no group is ever selected"))
            compareWithOverall(selection)
            set(.equalOpportunityDifference, difference(sensitivity))
            let sensitivityRatio = ratio(sensitivity, "no positive example of any group is selected")
            set(.equalOpportunityRatio, sensitivityRatio)
            set(.falsePositiveRateDifference, difference(alarms))
            let alarmRatio = ratio(alarms, "no negative example of any group is selected")
            set(.equalizedOddsDifference, combine(difference(sensitivity), difference(alarms), max))
            set(.equalizedOddsDifferenceMean, combine(difference(sensitivity), difference(alarms)) { ($0 + $1) / 2 })
            set(.equalizedOddsRatio, combine(sensitivityRatio, alarmRatio, min))
            set(.predictiveParityDifference, difference(range(.precision)))
            set(.accuracyDifference, difference(range(.accuracy)))
            compareWithReference()
        }

        private typealias Outcome = (value: Double?, reason: String)

        private mutating func set(_ metric: FairnessMetric, _ outcome: Outcome) {
            result[metric] = outcome.value
            if outcome.value == nil, wantsReasons { result.reasons[metric] = outcome.reason }
        }

        private func range(_ rate: GroupRate) -> Range {
            var all: [Double] = []
            for (index, counts) in groups.counts.enumerated() {
                guard let value = counts.value(rate) ?? (treatsUndefinedAsZero ? 0 : nil) else {
                    return .unknown(
                        wantsReasons ? "group `\(groups.names[index])` of `\(groups.column)` \(rate.lack)" : "")
                }
                all.append(value)
            }
            guard let least = all.min(), let greatest = all.max() else { return .unknown("there is no group") }
            return .known(least: least, greatest: greatest, all: all)
        }

        private func difference(_ range: Range) -> Outcome {
            switch range {
            case .known(let least, let greatest, _): (greatest - least, "")
            case .unknown(let reason): (nil, reason)
            }
        }

        private func ratio(_ range: Range, _ reasonIfAllAreZero: String) -> Outcome {
            switch range {
            case .known(let least, let greatest, _):
                greatest > 0 ? (least / greatest, "") : (nil, reasonIfAllAreZero)
            case .unknown(let reason): (nil, reason)
            }
        }

        private func combine(_ left: Outcome, _ right: Outcome, _ join: (Double, Double) -> Double) -> Outcome {
            guard let first = left.value else { return left }
            guard let second = right.value else { return right }
            return (join(first, second), "")
        }

        private mutating func compareWithOverall(_ selection: Range) {
            guard case .known(_, _, let rates) = selection, let overall = groups.overall.value(.selectionRate) else {
                let reason = difference(selection)
                set(.demographicParityDifferenceToOverall, reason)
                return set(.demographicParityRatioToOverall, reason)
            }
            set(.demographicParityDifferenceToOverall, (rates.map { abs($0 - overall) }.max(), ""))
            let ratios = rates.map { $0 > overall ? overall / $0 : $0 / overall }
            set(.demographicParityRatioToOverall, overall > 0 ? (ratios.min(), "") : (nil, "no group is ever selected"))
        }

        private mutating func compareWithReference() {
            let reference = groups.counts[groups.reference]
            let others = groups.counts.indices.filter { $0 != groups.reference }
                .reduce(OutcomeCounts()) { $0 + groups.counts[$1] }
            let name = wantsReasons ? "`\(groups.names[groups.reference])` of `\(groups.column)`" : ""
            func rate(_ counts: OutcomeCounts, _ rate: GroupRate, _ who: String) -> Outcome {
                let value = counts.value(rate) ?? (treatsUndefinedAsZero ? 0 : nil)
                return (value, wantsReasons ? "\(who) \(rate.lack)" : "")
            }
            func pair(_ kind: GroupRate) -> (others: Outcome, reference: Outcome) {
                (rate(others, kind, "the rest beside group \(name)"), rate(reference, kind, "group \(name)"))
            }
            let selection = pair(.selectionRate)
            let isNeverSelected = selection.reference.value == 0
            set(
                .disparateImpact,
                isNeverSelected
                    ? (nil, "group \(name) is never selected")
                    : combine(selection.others, selection.reference) { $0 / $1 })
            let alarms = pair(.falsePositiveRate)
            let sensitivity = pair(.truePositiveRate)
            set(
                .averageOddsDifference,
                combine(
                    combine(alarms.others, alarms.reference) { $0 - $1 },
                    combine(sensitivity.others, sensitivity.reference) { $0 - $1 }
                ) { ($0 + $1) / 2 })
        }
    }
}
