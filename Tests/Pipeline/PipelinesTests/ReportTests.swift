import Basics
import Drawings
import Foundation
import TestSupport
import Testing

@testable import Pipelines

/// Reports of one run in which everything that others name tries to break out of its place.
@Suite struct ReportTests {
    /// A name with markup, a command, a colour, an end of a comment and of a line in it.
    static let hostile = "a<b>&\"|`x` \u{1B}[31m@team #1 --> \n::set-output name=k::v%0A%"

    static func stage(_ name: String, _ state: String, _ more: [String: JSONValue] = [:]) -> JSONValue {
        var members: [String: JSONValue] = ["name": .string(name), "state": .string(state), "seconds": 1.5]
        members.merge(more) { $1 }
        return .object(members)
    }

    static func run(_ stages: [JSONValue], id: String = "20260131-120000-123-x7k2p9") throws -> RecordedRun {
        try RecordedRun(
            [
                "format": 1, "id": .string(id), "pipeline": "census", "file": "pipelines/census.yaml",
                "started": "2026-01-31T12:00:00.123Z", "seconds": 12.25, "outcome": "refused", "params": ["lr": 0.1],
                "git": ["commit": "0123456789abcdef0123456789abcdef01234567", "branch": "main", "dirty": false],
                "energy": ["joules": 42], "stages": .array(stages),
            ], source: "test")
    }

    static let verdicts: JSONValue = [
        "passed": false,
        "verdicts": [
            [
                "metric": "test.accuracy", "rule": "at least 0.9", "passed": false,
                "reason": "test.accuracy is 0.8, below 0.9",
            ],
            ["metric": "test.loss", "rule": "at most 1", "passed": true, "reason": "test.loss is 0.4"],
        ],
    ]

    static func hostileRun() throws -> RecordedRun {
        try run([
            stage("train", "succeeded", ["metrics": ["loss": 0.4, hostile: 3], "log": "train.log"]),
            stage("test", "succeeded", ["cached": true, "metrics": ["accuracy": 0.8], "warnings": [.string(hostile)]]),
            stage(
                "gate", "refused",
                [
                    "metrics": verdicts,
                    "error": [
                        "message": .string(hostile), "hint": "look at: build/gate.json, then 100 % of it",
                        "location": ["path": "pipelines/a,b:c.yaml", "line": 7, "column": 3],
                    ],
                ]),
            stage(
                "publish", "skipped", ["reasons": [["kind": "upstream", "subject": "gate", "text": "`gate` refused"]]]),
        ])
    }

    private func compare(_ text: String, with name: String) throws {
        let path = FileSystem.absolute("\(#filePath)/../../../Fixtures/reports/\(name)")
        if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
            try FileSystem.replace(path, with: Array(text.utf8))
        }
        #expect(try FileSystem.readText(path) == text, "RECORD_SNAPSHOTS=1 rewrites it")
    }

    @Test func junitIsAsTheSnapshotHasIt() throws {
        let text = JUnitReport(run: try ReportTests.hostileRun()) { _ in "\u{1B}[31mred\u{1B}[0m ]]> \u{0}<end/>" }
            .text()
        try compare(text, with: "junit.xml")
        #expect(XMLCheck.isWellFormed(text))
        #expect(text.contains("tests=\"6\" failures=\"2\" errors=\"0\" skipped=\"1\""))
    }

    @Test func gitlabIsAsTheSnapshotHasIt() throws {
        let report = GitLabReport(run: try ReportTests.hostileRun())
        try compare(report.metrics(), with: "metrics.txt")
        try compare(report.codeQuality().prettyText, with: "gl-code-quality-report.json")
    }

    /// What GitLab documents of a code quality report.
    @Test func whatGitLabAsksOfCodeQualityHolds() throws {
        let long = JSONValue.string(String(repeating: "é\n", count: 5000))
        var stages = try ReportTests.hostileRun().stages.map(\.json)
        stages.append(ReportTests.stage("wide", "failed", ["error": ["message": long], "warnings": [long, "other"]]))
        stages.append(
            ReportTests.stage("stopped", "interrupted", ["location": ["path": "pipelines/x.yaml", "line": 12]]))
        let report = GitLabReport(run: try ReportTests.run(stages)).codeQuality()
        let bytes = Array(report.prettyText.utf8)
        #expect(bytes.first == UInt8(ascii: "["), "one list, without a byte order mark")
        let issues = try #require(try JSONValue(parsing: bytes, source: "report").array)
        #expect(issues.count == 6)
        var fingerprints: Set<String> = []
        for issue in issues {
            for key in ["description", "check_name", "fingerprint", "severity"] {
                #expect(issue[key]?.string?.isEmpty == false, "\(key) of \(issue)")
            }
            #expect(["info", "minor", "major", "critical", "blocker"].contains(issue["severity"]?.string))
            let path = try #require(issue["location"]?["path"]?.string)
            #expect(!path.isEmpty && !path.hasPrefix("/") && !path.hasPrefix("./"), "below the repository: \(path)")
            #expect(issue["location"]?["lines"]?["begin"]?.integer ?? 0 >= 1)
            fingerprints.insert(issue["fingerprint"]?.string ?? "")
        }
        #expect(fingerprints.count == issues.count, "each issue has one of its own")
        #expect(issues.last?["location"]?["lines"]?["begin"] == 12)
        #expect(GitLabReport(run: try ReportTests.run([])).codeQuality() == [])
    }

    @Test func githubIsAsTheSnapshotHasIt() throws {
        let base = try ReportTests.run([ReportTests.stage("test", "succeeded", ["metrics": ["accuracy": 0.85]])])
        let report = GitHubReport(run: try ReportTests.hostileRun(), baseline: base)
        try compare(report.commands(), with: "github-commands.txt")
        try compare(report.summary(), with: "github-summary.md")
        try compare(MarkdownReport(run: report.run, baseline: base).comment(), with: "comment.md")
    }

    @Test func everyCommandIsOneLineAndTheNumberIsLimited() throws {
        let stages = (0..<40).map { index in
            ReportTests.stage("s\(index)", "failed", ["error": ["message": .string(ReportTests.hostile)]])
        }
        let lines = GitHubReport(run: try ReportTests.run(stages), baseline: nil).commands().split(separator: "\n")
        #expect(lines.count == 10)
        #expect(lines.allSatisfy { $0.hasPrefix("::error ") && $0.utf8.count < 10_000 })
        #expect(lines.last?.contains("and 31 more") == true)
    }

    @Test func aSummaryStaysWithinItsRoom() throws {
        let metrics = Dictionary(
            uniqueKeysWithValues: (0..<20_000).map { ("metric\($0)", JSONValue.double(Double($0))) })
        let stages = (0..<3000).map {
            ReportTests.stage("s\($0)", "failed", ["error": ["message": .string(String(repeating: "x|", count: 900))]])
        }
        let run = try ReportTests.run(stages + [ReportTests.stage("m", "succeeded", ["metrics": .object(metrics)])])
        let text = GitHubReport(run: run, baseline: nil).summary()
        #expect(text.utf8.count <= 1 << 20)
    }

    @Test(arguments: ["junit", "junit=", "json", "github=x", "xml=a", "", "junit=a,"])
    func wrongTargetsAreRefused(_ text: String) {
        #expect(throws: MLOpsError.self) { try ReportTarget.list(text) }
    }

    @Test func targetsAreRead() throws {
        #expect(
            try ReportTarget.list("junit=a=b.xml,github,gitlab,json=r.json")
                == [.junit("a=b.xml"), .github, .gitlab("."), .json("r.json")])
    }

    @Test func filtersCompareNumbersAsNumbers() throws {
        let run = try ReportTests.run([ReportTests.stage("test", "succeeded", ["metrics": ["n": 10]])])
        #expect(try RunFilter("test.n > 9").holds(for: run))
        #expect(try RunFilter("test.n<=10").holds(for: run))
        #expect(try !RunFilter("metrics.test.n!=10").holds(for: run))
        #expect(try RunFilter("lr=0.1").holds(for: run))
        #expect(try RunFilter("branch~ai").holds(for: run))
        #expect(try !RunFilter("other>1").holds(for: run))
        #expect(throws: MLOpsError.self) { try RunFilter("test.n") }
        #expect(throws: MLOpsError.self) { try RunFilter("=3") }
    }

    @Test func runsAreSortedAndThoseWithoutTheValueComeLast() throws {
        let runs = try [3.0, nil, 1, 2].enumerated().map { index, value in
            let metrics: JSONValue = value.map { ["n": .double($0)] } ?? [:]
            return try ReportTests.run([ReportTests.stage("t", "succeeded", ["metrics": metrics])], id: "r\(index)")
        }
        var query = RunQuery()
        query.sort = "t.n"
        #expect(try query.apply(to: runs).map(\.id) == ["r2", "r3", "r0", "r1"])
        query.isDescending = true
        #expect(try query.apply(to: runs).map(\.id) == ["r0", "r3", "r2", "r1"])
        query.sort = "t.nn"
        #expect(throws: MLOpsError.self) { try query.apply(to: runs) }
    }

    @Test func aChartOfRunsIsWellFormedWhateverTheyAreCalled() throws {
        let chart = Chart(
            title: ReportTests.hostile, xTitle: "epoch",
            series: [.init(name: ReportTests.hostile, points: [(1, 0.5), (2, 0.25), (3, 0.125)])])
        #expect(XMLCheck.isWellFormed(chart.svg))
    }
}

/// Whether tags are closed in their order and nothing else begins with `<` or `&`.
enum XMLCheck {
    static func isWellFormed(_ text: String) -> Bool {
        var open: [String] = []
        for piece in text.split(separator: "<").dropFirst(text.hasPrefix("<") ? 0 : 1) {
            guard let end = piece.firstIndex(of: ">") else { return false }
            let tag = piece[..<end]
            if tag.hasPrefix("?") || tag.hasSuffix("/") { continue }
            let name = String(tag.drop { $0 == "/" }.prefix { !$0.isWhitespace })
            if tag.hasPrefix("/") {
                guard open.popLast() == name else { return false }
            } else {
                open.append(name)
            }
        }
        let isClean = text.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" || $0 == "\t" }
        return open.isEmpty && isClean
    }
}
