/// How a binary classifier treats the groups of one or several sensitive columns.
///
/// Its own metrics are the least fair ones of the single columns: `fairness.equalized_odds_difference` in a gate holds for
/// every column, `fairness.by.sex.equalized_odds_difference` for one. Intersections of the columns are reported under their
/// joined name (`sex+race`), but as their groups are small they do not count among the least fair.
package struct FairnessReport: Codable, Hashable, Sendable {
    /// The least fair value of each metric.
    package var disparities: Disparities
    /// By column, and by their joined names for the intersection.
    package var by: [String: FairnessByColumn]
    /// Number of examples.
    package var count: Int
    /// Groups of fewer examples are marked as small.
    package var minimumGroupSize: Int
    /// Of all intervals.
    package var confidence: Double
    /// Of the bootstrap intervals.
    package var replicates: Int
    package var seed: UInt64

    enum CodingKeys: String, CodingKey {
        case by, confidence, replicates, seed, undefined
        case count = "n"
        case minimumGroupSize = "minimum_group_size"
    }

    /// The columns by name, the intersection last.
    package var sortedColumns: [(name: String, report: FairnessByColumn)] {
        by.sorted { ($0.value.isIntersection ? 1 : 0, $0.key) < ($1.value.isIntersection ? 1 : 0, $1.key) }
            .map { ($0.key, $0.value) }
    }
}

/// The groups of one sensitive column.
package struct FairnessByColumn: Codable, Hashable, Sendable {
    package var disparities: Disparities
    /// Bootstrap interval of each metric: rows drawn with replacement, percentiles. A difference of extremes cannot be below 0,
    /// so its interval leans upwards when the groups are small.
    package var intervals: [FairnessMetric: Interval]
    package var groups: [String: GroupFairness]
    /// The group that `disparate_impact` and `average_odds_difference` compare the others with: the one asked for, else the
    /// one with the highest selection rate.
    package var reference: String
    /// Groups of too few examples for their rates to mean much.
    package var smallGroups: [String]
    package var isIntersection: Bool

    enum CodingKeys: String, CodingKey {
        case intervals, groups, reference, undefined
        case smallGroups = "small_groups"
        case isIntersection = "is_intersection"
    }

    package var sortedGroups: [(name: String, group: GroupFairness)] {
        groups.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

/// One group: its rates, each null where nothing defines it, and their Wilson intervals.
package struct GroupFairness: Codable, Hashable, Sendable {
    package var count: Int
    package var positives: Int
    package var selected: Int
    package var outcomes: OutcomeCounts
    @OrNull package var selectionRate: Double?
    @OrNull package var truePositiveRate: Double?
    @OrNull package var falsePositiveRate: Double?
    @OrNull package var precision: Double?
    @OrNull package var accuracy: Double?
    /// Expected calibration error of the scores in this group; null without scores.
    @OrNull package var calibrationError: Double?
    /// By the rate's key.
    package var intervals: [String: Interval]
    /// Fewer examples than the minimum.
    package var isSmall: Bool
    /// By the rate's key, why it is null.
    package var undefined: [String: String]

    enum CodingKeys: String, CodingKey {
        case positives, selected, outcomes, accuracy, intervals, undefined
        case count = "n"
        case selectionRate = "selection_rate"
        case truePositiveRate = "tpr"
        case falsePositiveRate = "fpr"
        case precision = "ppv"
        case calibrationError = "ece"
        case isSmall = "is_small"
    }
}

// MARK: - Coding

extension Disparities {
    /// Reads the members that `encode(to:)` writes, beside those of their owner.
    init(from decoder: any Decoder, reasons: [String: String]) throws {
        self.init()
        let container = try decoder.container(keyedBy: FairnessMetric.self)
        for metric in FairnessMetric.allCases {
            self[metric] = try container.decodeIfPresent(Double.self, forKey: metric)
        }
        for (key, reason) in reasons { if let metric = FairnessMetric(rawValue: key) { self.reasons[metric] = reason } }
    }

    /// Writes each metric as a member of its owner, null where undefined.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: FairnessMetric.self)
        for metric in FairnessMetric.allCases {
            if let value = self[metric] {
                try container.encode(value, forKey: metric)
            } else {
                try container.encodeNil(forKey: metric)
            }
        }
    }

    var reasonsByKey: [String: String] {
        Dictionary(uniqueKeysWithValues: reasons.map { ($0.key.rawValue, $0.value) })
    }
}

extension FairnessReport {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let reasons = try container.decodeIfPresent([String: String].self, forKey: .undefined) ?? [:]
        disparities = try Disparities(from: decoder, reasons: reasons)
        by = try container.decode([String: FairnessByColumn].self, forKey: .by)
        count = try container.decode(Int.self, forKey: .count)
        minimumGroupSize = try container.decode(Int.self, forKey: .minimumGroupSize)
        confidence = try container.decode(Double.self, forKey: .confidence)
        replicates = try container.decode(Int.self, forKey: .replicates)
        seed = try container.decode(UInt64.self, forKey: .seed)
    }

    package func encode(to encoder: any Encoder) throws {
        try disparities.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(by, forKey: .by)
        try container.encode(count, forKey: .count)
        try container.encode(minimumGroupSize, forKey: .minimumGroupSize)
        try container.encode(confidence, forKey: .confidence)
        try container.encode(replicates, forKey: .replicates)
        try container.encode(seed, forKey: .seed)
        try container.encode(disparities.reasonsByKey, forKey: .undefined)
    }
}

extension FairnessByColumn {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let reasons = try container.decodeIfPresent([String: String].self, forKey: .undefined) ?? [:]
        disparities = try Disparities(from: decoder, reasons: reasons)
        let intervals = try container.decode([String: Interval].self, forKey: .intervals)
        self.intervals = Dictionary(
            uniqueKeysWithValues: intervals.compactMap { key, value in FairnessMetric(rawValue: key).map { ($0, value) }
            })
        groups = try container.decode([String: GroupFairness].self, forKey: .groups)
        reference = try container.decode(String.self, forKey: .reference)
        smallGroups = try container.decode([String].self, forKey: .smallGroups)
        isIntersection = try container.decode(Bool.self, forKey: .isIntersection)
    }

    package func encode(to encoder: any Encoder) throws {
        try disparities.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        let intervals = Dictionary(uniqueKeysWithValues: intervals.map { ($0.key.rawValue, $0.value) })
        try container.encode(intervals, forKey: .intervals)
        try container.encode(groups, forKey: .groups)
        try container.encode(reference, forKey: .reference)
        try container.encode(smallGroups, forKey: .smallGroups)
        try container.encode(isIntersection, forKey: .isIntersection)
        try container.encode(disparities.reasonsByKey, forKey: .undefined)
    }
}
