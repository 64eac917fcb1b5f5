import Basics
import Testing

@testable import Audits

@Suite struct FairnessTests {
    private func options(replicates: Int = 0, zero: Bool = false) -> FairnessOptions {
        var options = FairnessOptions()
        options.replicates = replicates
        options.treatsUndefinedAsZero = zero
        return options
    }

    private func randomGroups(_ options: FairnessOptions) throws -> (report: FairnessReport, expected: JSONValue) {
        let data = try fixture("fairness.json")
        let report = try FairnessReport(
            labels: data["labels"]?.integers ?? [], predictions: data["predictions"]?.integers ?? [],
            columns: ["sex", "race"].map { SensitiveColumn(name: $0, values: data[$0]?.strings ?? []) },
            options: options)
        return (report, try #require(data["by"]))
    }

    /// The rates of `by_group`, each within 1e-12.
    private func expectRates(_ report: FairnessByColumn, _ expected: JSONValue) throws {
        for (name, rates) in expected["by_group"]?.object ?? [:] {
            var rates = rates.object ?? [:]
            let interval = rates.removeValue(forKey: "selection_interval") ?? .null
            let group = try #require(report.groups[name])
            expectEqual(try JSONValue(encoding: group), .object(rates), at: name)
            expectEqual(
                try JSONValue(encoding: group.intervals["selection_rate"]), interval, at: "\(name).selection_interval")
        }
    }

    @Test(arguments: ["sex", "race", "sex+race"])
    func everyNumberEqualsFairlearn(_ column: String) throws {
        let (report, expected) = try randomGroups(options(zero: true))
        let actual = try #require(report.by[column])
        let wanted = try #require(expected[column])
        expectEqual(try JSONValue(encoding: actual), wanted["disparities"] ?? .null, at: column)
        try expectRates(actual, wanted)
    }

    @Test func theGoldenCaseComesOut() throws {
        let report = try FairnessReport(
            labels: [1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0],
            predictions: [1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0],
            columns: [SensitiveColumn(name: "group", values: "AAAAAABBBBBBCCCC".map { String($0) })],
            options: options())
        let disparities = report.disparities
        #expect(disparities[.demographicParityDifference] == 0.25)
        #expect(disparities[.demographicParityRatio] == 0.5)
        #expect(disparities[.demographicParityDifferenceToOverall] == 0.1875)
        #expect(disparities[.demographicParityRatioToOverall] == 0.5714285714285714)
        #expect(disparities[.equalizedOddsDifference] == 0.75)
        #expect(abs((disparities[.equalizedOddsDifferenceMean] ?? 0) - 0.5416666666666666) < 1e-12)
        #expect(disparities[.equalizedOddsRatio] == 0)
        #expect(disparities[.equalOpportunityDifference] == 0.75)
        #expect(report.by["group"]?.groups["B"]?.truePositiveRate == 0.75)
        #expect(report.by["group"]?.smallGroups == ["A", "B", "C"])
    }

    @Test func aGroupWithoutPositivesLeavesOddsUndefinedAndSaysWhy() throws {
        let odd = try #require(try fixture("fairness.json")["odd"])
        func report(zero: Bool) throws -> FairnessReport {
            try FairnessReport(
                labels: odd["labels"]?.integers ?? [], predictions: odd["predictions"]?.integers ?? [],
                columns: [SensitiveColumn(name: "team", values: odd["groups"]?.strings ?? [])],
                options: options(zero: zero))
        }
        let strict = try report(zero: false)
        for metric in [FairnessMetric.equalizedOddsDifference, .equalOpportunityRatio, .equalizedOddsRatio] {
            #expect(strict.disparities[metric] == nil)
            #expect(strict.disparities.reasons[metric] == "group `y` of `team` has no positive example")
        }
        #expect(
            strict.disparities.reasons[.predictiveParityDifference]
                == "group `z` of `team` has no example that the model selects")
        #expect(strict.disparities[.demographicParityDifference] == 0.5)
        let json = try JSONValue(encoding: strict)
        #expect(json["equalized_odds_difference"] == .null)
        #expect(json["by"]?["team"]?["groups"]?["y"]?["tpr"] == .null)
        #expect(
            json["undefined"]?["equalized_odds_difference"] == "group `y` of `team` has no positive example")
        let compatible = try #require(try report(zero: true).by["team"])
        let wanted = try #require(odd["report"])
        expectEqual(try JSONValue(encoding: compatible), wanted["disparities"] ?? .null, at: "odd")
        try expectRates(compatible, wanted)
    }

    @Test func intervalsAgreeWithFairlearnsResampling() throws {
        let (report, expected) = try randomGroups(options(replicates: 2000))
        let actual = try #require(report.by["sex"]?.intervals)
        for (key, interval) in expected["sex"]?["intervals"]?.object ?? [:] {
            let metric = try #require(FairnessMetric(rawValue: key))
            let bounds = try #require(actual[metric])
            // Both are estimates from 2000 replicates.
            #expect(abs(bounds.lower - interval.numbers[0]) < 0.03, "\(key)")
            #expect(abs(bounds.upper - interval.numbers[1]) < 0.03, "\(key)")
        }
    }

    @Test func theSeedDecidesTheIntervals() throws {
        var options = options(replicates: 100)
        let first = try randomGroups(options).report
        #expect(try randomGroups(options).report == first)
        options.seed = 1
        #expect(try randomGroups(options).report.by["sex"]?.intervals != first.by["sex"]?.intervals)
    }

    @Test func theReportHoldsTheLeastFairColumnAndReadsBack() throws {
        let report = try randomGroups(options(replicates: 50)).report
        let worst = try #require(report.disparities[.demographicParityDifference])
        let single = ["sex", "race"].compactMap { report.by[$0]?.disparities[.demographicParityDifference] }
        #expect(worst == single.max())
        let ratio = try #require(report.disparities[.demographicParityRatio])
        #expect(ratio == ["sex", "race"].compactMap { report.by[$0]?.disparities[.demographicParityRatio] }.min())
        #expect(try JSONValue(encoding: report).decode(as: FairnessReport.self) == report)
        #expect(report.sortedColumns.map(\.name) == ["race", "sex", "sex+race"])
        #expect(report.by["sex+race"]?.smallGroups.isEmpty == false)
    }

    @Test func aChosenReferenceTurnsTheComparison() throws {
        var options = options()
        options.references = ["sex": "Female"]
        let (report, _) = try randomGroups(options)
        let highest = try randomGroups(self.options()).report
        #expect(report.by["sex"]?.reference == "Female")
        #expect(highest.by["sex"]?.reference == "Male")
        let impact = try #require(report.by["sex"]?.disparities[.disparateImpact])
        let inverse = try #require(highest.by["sex"]?.disparities[.disparateImpact])
        #expect(abs(impact * inverse - 1) < 1e-12)
        options.references = ["sex": "Other"]
        #expect(throws: MLOpsError.self) { try randomGroups(options) }
    }

    @Test func calibrationIsReportedByGroup() throws {
        let report = try FairnessReport(
            labels: [1, 0, 1, 0], predictions: [1, 0, 1, 1],
            columns: [SensitiveColumn(name: "g", values: ["a", "a", "b", "b"])], scores: [0.9, 0.1, 0.75, 0.75],
            options: options())
        #expect(abs((report.by["g"]?.groups["a"]?.calibrationError ?? 1) - 0.1) < 1e-12)
        #expect(abs((report.by["g"]?.groups["b"]?.calibrationError ?? 1) - 0.25) < 1e-12)
    }

    @Test func whatCannotBeAuditedIsRefused() {
        let column = SensitiveColumn(name: "g", values: ["a", "b"])
        #expect(throws: MLOpsError.self) { try FairnessReport(labels: [], predictions: [], columns: [column]) }
        #expect(throws: MLOpsError.self) { try FairnessReport(labels: [1, 0], predictions: [1, 0], columns: []) }
        #expect(throws: MLOpsError.self) {
            try FairnessReport(labels: [1, 2], predictions: [1, 0], columns: [column])
        }
        #expect(throws: MLOpsError.self) { try FairnessReport(labels: [1], predictions: [1], columns: [column]) }
        #expect(throws: MLOpsError.self) {
            try FairnessReport(labels: [1, 0], predictions: [1, 0], columns: [column, column])
        }
    }
}
