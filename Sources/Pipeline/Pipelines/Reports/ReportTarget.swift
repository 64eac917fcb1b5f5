internal import Basics

/// Where a report of a run goes: one item of `--report`.
package enum ReportTarget: Sendable, Hashable {
    case junit(String)
    case github
    case gitlab(String)
    case json(String)

    /// `junit=FILE`, `github`, `gitlab`, `gitlab=DIR`, `json=FILE`, separated by commas.
    ///
    /// - Throws: kind `.usage` for anything else.
    package static func list(_ text: String) throws -> [ReportTarget] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { item in
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let path = parts.count == 2 ? parts[1] : nil
            if path?.isEmpty == true { throw unknown(String(item), "name a file behind `=`") }
            switch (parts[0], path) {
            case ("junit", let path?): return .junit(path)
            case ("json", let path?): return .json(path)
            case ("github", nil): return .github
            case ("gitlab", let path): return .gitlab(path ?? ".")
            case ("junit", nil), ("json", nil):
                throw unknown(String(item), "say where it goes, such as `\(parts[0])=build/report`")
            default: throw unknown(String(item), "reports are `junit=FILE`, `github`, `gitlab=DIR` and `json=FILE`")
            }
        }
    }

    private static func unknown(_ item: String, _ hint: String) -> MLOpsError {
        MLOpsError(.usage, "`--report \(printable(item))` is no report", hint: hint)
    }
}

/// Writes a run's reports.
package struct ReportWriter: Sendable {
    package var run: RecordedRun
    package var baseline: RecordedRun?
    /// The repository's folder: logs are relative to it.
    package var root: String
    /// What relative paths of reports start from.
    package var directory: String
    /// `$GITHUB_STEP_SUMMARY`.
    package var summaryPath: String?

    package init(
        run: RecordedRun, baseline: RecordedRun? = nil, root: String, directory: String, summaryPath: String? = nil
    ) {
        self.run = run
        self.baseline = baseline
        self.root = root
        self.directory = directory
        self.summaryPath = summaryPath
    }

    /// Writes one report; what belongs on standard output is returned.
    package func write(_ target: ReportTarget) throws -> String {
        switch target {
        case .junit(let path): try write(JUnitReport(run: run, tail: tail(of:)).text(), to: path)
        case .json(let path): try write(run.json.prettyText, to: path)
        case .gitlab(let folder):
            let report = GitLabReport(run: run)
            try write(report.metrics(), to: FileSystem.join(folder, "metrics.txt"))
            try write(report.codeQuality().prettyText, to: FileSystem.join(folder, "gl-code-quality-report.json"))
        case .github:
            let report = GitHubReport(run: run, baseline: baseline)
            if let summaryPath { try append(report, to: summaryPath) }
            return report.commands()
        }
        return ""
    }

    /// Behind what other commands of the same step wrote, within GitHub's limit for both.
    private func append(_ report: GitHubReport, to path: String) throws {
        let before = FileSystem.exists(path) ? try FileSystem.read(path) : []
        let text = report.summary(room: max(0, GitHubReport.summaryLimit - before.count))
        // In place: the runner watches this very file.
        try FileSystem.replaceUnflushed(path, with: before + Array(text.utf8))
    }

    private func write(_ text: String, to path: String) throws {
        let path = FileSystem.absolute(path, from: directory)
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        try FileSystem.replaceUnflushed(path, with: Array(text.utf8))
    }

    /// The last lines of a stage's log.
    private func tail(of stage: RecordedRun.Stage) -> String? {
        guard let log = stage.log else { return nil }
        let path = FileSystem.absolute(log, from: root)
        guard let file = try? OpenFile(reading: path), let size = try? FileStatus.of(path)?.size else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(min(size, JUnitReport.tailLimit)))
        guard let count = try? bytes.withUnsafeMutableBytes({ try file.read(into: $0, at: size - Int64($0.count)) })
        else { return nil }
        let kept = bytes[..<count]
        // The first line may be cut: the whole ones after it are shown.
        guard size > JUnitReport.tailLimit, let end = kept.firstIndex(of: 0x0A) else {
            return String(decoding: kept, as: UTF8.self)
        }
        return "…\n" + String(decoding: kept[(end + 1)...], as: UTF8.self)
    }
}
