internal import Basics

/// A metric of a run beside the same metric of another.
package struct MetricChange: Sendable, Encodable {
    package var name: String
    package var old: Double?
    package var new: Double?

    package var isEqual: Bool { old == new }
    package var difference: Double? { if let old, let new { new - old } else { nil } }

    /// Every metric of either run, by name.
    package static func between(_ old: RecordedRun?, _ new: RecordedRun) -> [MetricChange] {
        let (before, after) = (old?.metrics ?? [:], new.metrics)
        return Set(before.keys).union(after.keys).sorted().map {
            MetricChange(name: $0, old: before[$0], new: after[$0])
        }
    }

    /// `+0.012 (+1.4 %)`; empty where there is nothing to compare.
    package var text: String {
        guard let difference, let old else { return new == nil ? "gone" : "new" }
        if difference == 0 { return "=" }
        let sign = difference > 0 ? "+" : "−"
        let share = old == 0 ? "" : " (\(sign)\(Format.number(abs(difference / old) * 100)) %)"
        return "\(sign)\(Format.number(abs(difference)))\(share)"
    }
}
