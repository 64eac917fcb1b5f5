internal import Basics

/// What GitLab shows of a run: metrics as OpenMetrics text, and what failed as code quality.
struct GitLabReport {
    let run: RecordedRun

    /// For `artifacts:reports:metrics`.
    func metrics() -> String {
        let pipeline = "pipeline=\"\(ReportText.label(run.pipeline))\""
        var lines = ["# TYPE mlops_metric gauge", "# HELP mlops_metric A metric of a stage."]
        for (name, value) in run.metrics.sorted(by: { $0.key < $1.key }) {
            let stage = stage(of: name)
            let path = name.dropFirst(stage.count + 1)
            lines.append(
                "mlops_metric{\(pipeline),stage=\"\(ReportText.label(stage))\",name=\"\(ReportText.label(String(path)))\"} \(number(value))"
            )
        }
        lines += family("mlops_stage_seconds", "Time of a stage; of a cached one as it was.", "seconds", pipeline) {
            $0.seconds
        }
        lines += family("mlops_stage_joules", "Energy of a stage.", "joules", pipeline) { $0.joules }
        return (lines + ["# EOF", ""]).joined(separator: "\n")
    }

    /// The longest name of a stage that `name` begins with: a stage's name may have dots.
    private func stage(of name: String) -> String {
        run.stages.map(\.name).filter { name.hasPrefix($0 + ".") }.max { $0.count < $1.count } ?? ""
    }

    private func family(
        _ name: String, _ help: String, _ unit: String, _ pipeline: String, _ value: (RecordedRun.Stage) -> Double?
    ) -> [String] {
        let samples = run.stages.compactMap { stage in
            value(stage).map { "\(name){\(pipeline),stage=\"\(ReportText.label(stage.name))\"} \(number($0))" }
        }
        return samples.isEmpty
            ? [] : ["# TYPE \(name) gauge", "# UNIT \(name) \(unit)", "# HELP \(name) \(help)"] + samples
    }

    private func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value > 0 ? "+Inf" : "-Inf") : JSONValue.double(value).canonicalText
    }

    /// For `artifacts:reports:codequality`: a list of issues, each with a fingerprint that stays the same as long as the
    /// same stage fails for the same reason.
    func codeQuality() -> JSONValue {
        let issues = run.stages.flatMap { stage -> [JSONValue] in
            let place = stage.location ?? SourceLocation(path: run.file.isEmpty ? run.pipeline : run.file, line: 1)
            var found: [JSONValue] = []
            if !stage.isGood {
                let severity = stage.state == .refused ? "major" : "blocker"
                found.append(
                    issue(stage.name, stage.state.rawValue, stage.error ?? stage.state.rawValue, severity, place))
            }
            return found + stage.warnings.map { issue(stage.name, "warning", $0, "minor", place) }
        }
        return .array(issues)
    }

    private func issue(
        _ stage: String, _ check: String, _ message: String, _ severity: String, _ place: SourceLocation
    ) -> JSONValue {
        let text = ReportText.prefix(printable(ReportText.withoutEscapes("\(stage): \(message)")), bytes: 2000)
        let key = [run.pipeline, stage, check, message, place.path].joined(separator: "\u{0}")
        return [
            "description": .string(text), "check_name": .string("mlops-\(check)"),
            "fingerprint": .string(Digest.of(Array(key.utf8)).hex), "severity": .string(severity),
            "location": ["path": .string(place.path), "lines": ["begin": .int(Int64(place.line))]],
        ]
    }
}
