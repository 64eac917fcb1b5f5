import Basics
import Testing

@testable import Audits

@Suite struct ClassificationTests {
    @Test(arguments: ["binary", "ties", "four_classes", "a_class_never_taken"])
    func everyMetricEqualsScikitLearn(_ name: String) throws {
        let expected = try #require(try fixture("classification.json")[name])
        let classCount = try #require(expected["classes"]?.integer)
        let audit = try ClassificationAudit(
            probabilities: expected["probabilities"]?.numbers ?? [],
            labels: expected["labels"]?.integers ?? [],
            classes: (0..<classCount).map { "class \($0)" })
        var members = expected.object ?? [:]
        for key in ["classes", "labels", "probabilities"] { members[key] = nil }
        expectEqual(try JSONValue(encoding: audit.report), .object(members), at: name)
        #expect(audit.report.undefined == [:])
    }

    @Test func aModelThatSelectsNobodyHasNoPrecision() throws {
        let expected = try #require(try fixture("classification.json")["timid"])
        let report = try ClassificationAudit(
            probabilities: expected["probabilities"]?.numbers ?? [],
            labels: expected["labels"]?.integers ?? [],
            classes: ["no", "yes"]
        ).report
        #expect(report.precision == nil)
        #expect(report.undefined["precision"] == "no example was taken for `yes`")
        #expect(report.recall == 0)
        let json = try JSONValue(encoding: report)
        #expect(json["precision"] == .null)
        for key in ["accuracy", "auc", "average_precision", "log_loss", "brier", "ece", "macro", "weighted"] {
            expectEqual(json[key] ?? .null, expected[key] ?? .null, at: key)
        }
        #expect(try json.decode(as: ClassificationReport.self) == report)
    }

    @Test func aMissingClassLeavesTheAreaUndefined() throws {
        let report = try ClassificationAudit(probabilities: [0.2, 0.7], labels: [0, 0], classes: ["no", "yes"]).report
        #expect(report.rocAUC == nil && report.averagePrecision == nil && report.recall == nil)
        #expect(report.undefined.keys.sorted() == ["auc", "average_precision", "recall"])
        #expect(report.accuracy == 0.5)
    }

    @Test func eachExampleSaysWhatItAddsToTheMetric() throws {
        let audit = try ClassificationAudit(
            probabilities: [0.9, 0.4, 0.5], labels: [1, 1, 0], classes: ["no", "yes"])
        #expect(audit.samples["accuracy"] == [1, 0, 1])
        #expect(audit.predictions == [1, 0, 0], "the first of two equal classes is taken")
        for (key, value) in [("accuracy", audit.report.accuracy), ("log_loss", audit.report.logLoss)] {
            let samples = try #require(audit.samples[key])
            #expect(abs(samples.reduce(0, +) / 3 - value) < 1e-15)
        }
    }

    @Test func certainAndWrongCostsMuchButNotInfinitely() throws {
        let report = try ClassificationAudit(probabilities: [1], labels: [0], classes: ["no", "yes"]).report
        #expect(abs(report.logLoss - 36.04365338911715) < 1e-12)
    }

    @Test func whatCannotBeJudgedIsRefused() {
        func message(_ probabilities: [Double], _ labels: [Int], _ classes: [String] = ["no", "yes"]) -> String? {
            do {
                _ = try ClassificationAudit(probabilities: probabilities, labels: labels, classes: classes)
                return nil
            } catch {
                return (error as? MLOpsError)?.message
            }
        }
        #expect(message([], []) == "there are no examples to judge the classifier by")
        #expect(message([0.1, .nan], [0, 1]) == "example 1 got the probability nan, expected one in 0...1")
        #expect(message([0.1, 1.5], [0, 1])?.contains("1.5") == true)
        #expect(message([0.1], [2]) == "example 0 has the label 2, expected one of 0 ..< 2")
        #expect(message([0.1, 0.2, 0.3], [0, 1]) == "3 probabilities do not fit 2 examples of 2 classes")
    }
}
