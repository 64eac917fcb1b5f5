internal import Basics

/// How well the model does, for whom, and what the gates said.
extension ModelCard {
    var evaluation: String {
        let names = input.metrics.map { "\(MarkdownText.inline($0.title)) (\(MarkdownText.code($0.id)))" }
        let columns = input.fairness?.sortedColumns.map { MarkdownText.code($0.name) } ?? []
        return section(
            "Evaluation",
            [
                section(
                    "Testing Data, Factors & Metrics", level: 3,
                    [
                        section("Testing Data", level: 4, [input.testData.map(describe) ?? "Not stated."]),
                        section(
                            "Factors", level: 4,
                            [columns.isEmpty ? "Not stated." : "Groups by \(columns.joined(separator: ", "))."]),
                        section(
                            "Metrics", level: 4,
                            [names.isEmpty ? "Not stated." : names.joined(separator: ", ") + "."]),
                    ]),
                section("Results", level: 3, [results] + fairness),
                section("Summary", level: 4, [summary]),
            ])
    }

    private var results: String {
        guard !input.metrics.isEmpty else { return "Not stated." }
        let hasInt8 = input.metrics.contains { $0.int8 != nil }
        let rows = input.metrics.map { metric in
            func cell(_ value: Double?) -> String { value.map { number($0) } ?? ModelCard.unknown }
            return [MarkdownText.inline(metric.title), cell(metric.float32)] + (hasInt8 ? [cell(metric.int8)] : [])
        }
        return MarkdownText.table(
            ["Metric", "float32"] + (hasInt8 ? ["int8"] : []), alignedRight: hasInt8 ? [1, 2] : [1], rows)
    }

    private var fairness: [String] {
        guard let fairness = input.fairness else { return ["Fairness by group is not stated."] }
        return fairness.sortedColumns.map { name, report in
            section(
                "Fairness by \(MarkdownText.inline(name))", level: 4,
                [groups(report, of: fairness), disparities(report, confidence: fairness.confidence)])
        }
    }

    private func groups(_ report: FairnessByColumn, of fairness: FairnessReport) -> String {
        let rates: [(String, GroupRate)] = [
            ("Selection rate", .selectionRate), ("TPR", .truePositiveRate), ("FPR", .falsePositiveRate),
            ("Precision", .precision), ("Accuracy", .accuracy),
        ]
        let rows = report.sortedGroups.map { name, group in
            [MarkdownText.inline(name) + (group.isSmall ? " (small)" : ""), "\(group.count)", "\(group.positives)"]
                + rates.map { _, rate in
                    guard let value = group.outcomes.value(rate) else { return "undefined" }
                    let bounds = group.intervals[rate.rawValue].map {
                        " [\(Format.fixed($0.lower, 3)), \(Format.fixed($0.upper, 3))]"
                    }
                    return Format.fixed(value, 3) + (bounds ?? "")
                }
        }
        let percent = Format.number(fairness.confidence * 100)
        return MarkdownText.table(
            ["Group", "n", "Positive"] + rates.map(\.0), alignedRight: Set(1..<3 + rates.count), rows)
            + "\n\nIn brackets: \(percent) % Wilson intervals."
    }

    private func disparities(_ report: FairnessByColumn, confidence: Double) -> String {
        let shown: [(String, FairnessMetric)] = [
            ("Demographic parity difference", .demographicParityDifference),
            ("Demographic parity ratio", .demographicParityRatio),
            ("Equalized odds difference", .equalizedOddsDifference),
            ("Equal opportunity difference", .equalOpportunityDifference),
            ("Predictive parity difference", .predictiveParityDifference),
            ("Accuracy difference", .accuracyDifference),
        ]
        let rows = shown.map { title, metric in
            let value =
                report.disparities[metric].map { Format.fixed($0, 3) }
                ?? "undefined: " + MarkdownText.sentence(report.disparities.reasons[metric] ?? "no reason given")
            let bounds = report.intervals[metric].map {
                "[\(Format.fixed($0.lower, 3)), \(Format.fixed($0.upper, 3))]"
            }
            return [title, value, bounds ?? "not estimated"]
        }
        let percent = Format.number(confidence * 100)
        return MarkdownText.table(
            ["Disparity", "Value", "\(percent) % bootstrap interval"], alignedRight: [1, 2], rows)
    }

    private var summary: String {
        guard !input.gates.isEmpty else { return "No gate judged this model." }
        let passed = input.gates.count { $0.passed }
        return passed == input.gates.count
            ? "All \(Format.count(passed, "rule")) of the gates passed."
            : "\(passed) of \(Format.count(input.gates.count, "rule")) of the gates passed."
    }

    var gates: String {
        guard !input.gates.isEmpty else { return section("Gates", ["No gate judged this model."]) }
        let rows = input.gates.map { gate in
            [
                MarkdownText.code(gate.metric), MarkdownText.inline(gate.rule),
                gate.value.map { Format.number($0) } ?? "missing",
                gate.passed ? "passed" : "refused" + (gate.reason.map { ": " + MarkdownText.sentence($0) } ?? ""),
            ]
        }
        return section(
            "Gates", [MarkdownText.table(["Metric", "Rule", "Value", "Verdict"], alignedRight: [2], rows)])
    }
}
