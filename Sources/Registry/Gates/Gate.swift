internal import Basics

/// Judges `input` by `rules`; refuses whatever it cannot judge.
///
/// A metric that is missing, null, not a finite number or ambiguous, a baseline or samples that are missing, a rule
/// that says nothing, no rules at all, or metrics of another digest than the subject's: each refuses, with a reason.
///
/// - Parameter seed: of the bootstrap of rules with `confidence`; equal input and seed give an equal report.
package func evaluate(rules: [GateRule], input: GateInput, seed: UInt64) -> GateReport {
    if let measured = input.measuredDigest, let subject = input.subjectDigest, measured != subject {
        return GateReport(
            verdicts: [],
            problems: ["the metrics are stale: they were measured on \(measured.short), not on \(subject.short)"])
    }
    if rules.isEmpty { return GateReport(verdicts: [], problems: ["the gate has no rules"]) }
    let judge = Judge(input: input, metrics: MetricTable(input.metrics), seed: seed)
    return GateReport(verdicts: rules.flatMap(judge.verdicts))
}

/// A rule's single limit.
private struct Demand {
    enum Kind { case min, max, equals }
    var kind: Kind
    /// The limit, or what it is times the baseline's value.
    var number: Double
    var isRatio = false

    var sign: String {
        switch kind {
        case .min: ">="
        case .max: "<="
        case .equals: "="
        }
    }

    /// Whether `value` keeps `limit`; false for NaN.
    func holds(_ value: Double, _ limit: Double) -> Bool {
        switch kind {
        case .min: value >= limit
        case .max: value <= limit
        case .equals: value == limit
        }
    }

    /// How a value stands to the limit, for the sentence.
    func relation(_ holds: Bool) -> String {
        switch (kind, holds) {
        case (.min, true): "at least"
        case (.min, false): "below the floor"
        case (.max, true): "at most"
        case (.max, false): "above the ceiling"
        case (.equals, true): "equal to"
        case (.equals, false): "not equal to"
        }
    }
}

extension GateRule {
    fileprivate var demands: [Demand] {
        [
            min.map { Demand(kind: .min, number: $0) }, max.map { Demand(kind: .max, number: $0) },
            equals.map { Demand(kind: .equals, number: $0) },
            minRatio.map { Demand(kind: .min, number: $0, isRatio: true) },
            maxRatio.map { Demand(kind: .max, number: $0, isRatio: true) },
        ].compactMap(\.self)
    }

    fileprivate func text(of demand: Demand) -> String {
        let limit =
            demand.isRatio ? "\(Gates.text(demand.number)) x \(baseline ?? "baseline")" : Gates.text(demand.number)
        let level = confidence.map { " with \(Gates.text($0 * 100)) % confidence" } ?? ""
        return "\(metric) \(demand.sign) \(limit)\(level)"
    }
}

/// Judges rule by rule.
private struct Judge {
    /// An interval of fewer values than this says nothing.
    static let fewestSamples = 10

    var input: GateInput
    var metrics: MetricTable
    var seed: UInt64

    func verdicts(of rule: GateRule) -> [GateVerdict] {
        let name = rule.metric.isEmpty ? "a rule" : "the rule on `\(rule.metric)`"
        if let fault = rule.fault {
            return [
                GateVerdict(metric: rule.metric, rule: rule.metric, passed: false, reason: "\(name) is wrong: \(fault)")
            ]
        }
        let interval = Result { () throws(MetricFault) in try self.interval(rule) }
        return rule.demands.map { demand in
            var verdict = GateVerdict(metric: rule.metric, rule: rule.text(of: demand), passed: false, reason: "")
            do throws(MetricFault) {
                try judge(rule, demand, interval, &verdict)
            } catch {
                verdict.passed = false
                verdict.reason = "\(rule.metric) \(error.reason)"
            }
            return verdict
        }
    }

    private func judge(
        _ rule: GateRule, _ demand: Demand, _ interval: Result<BootstrapInterval?, MetricFault>,
        _ verdict: inout GateVerdict
    ) throws(MetricFault) {
        let value = try metrics.number(at: rule.metric).get()
        verdict.value = value
        var limit = demand.number
        var explanation = ""
        if demand.isRatio {
            let name = rule.baseline ?? ""
            guard let baseline = try baselineValue(rule, name) else {
                verdict.passed = true
                verdict.reason = "\(rule.metric) is \(text(value)); there is no \(name) to compare it with yet"
                return
            }
            verdict.baselineValue = baseline
            limit = demand.number * baseline
            guard limit.isFinite else {
                throw MetricFault(reason: "has a baseline in `\(name)` that is too large: \(baseline)")
            }
            explanation = " (\(text(demand.number)) x \(text(baseline)) of \(name))"
        }
        verdict.limit = limit
        var judged = value
        var subject = "\(rule.metric) is "
        if let interval = try interval.get(), let confidence = rule.confidence {
            verdict.lowerBound = interval.lower
            verdict.upperBound = interval.upper
            let isFloor = demand.kind == .min
            judged = isFloor ? interval.lower : interval.upper
            subject +=
                "\(text(value)), the \(isFloor ? "lower" : "upper") bound of its \(text(confidence * 100)) % interval is "
        }
        verdict.passed = demand.holds(judged, limit)
        let (left, right) = distinctTexts(judged, limit)
        verdict.reason = "\(subject)\(left), \(demand.relation(verdict.passed)) \(right)\(explanation)"
    }

    /// The metric's value in the baseline; nil if there is no baseline and the rule lets that pass.
    private func baselineValue(_ rule: GateRule, _ name: String) throws(MetricFault) -> Double? {
        guard let metrics = input.baselines[name] else {
            if rule.ifNoBaseline == .pass { return nil }
            throw MetricFault(reason: "has no baseline: `\(name)` does not exist")
        }
        switch MetricTable(metrics).number(at: rule.metric) {
        case .failure(let fault): throw MetricFault(reason: "has no usable baseline: in `\(name)` it \(fault.reason)")
        case .success(let value):
            guard value > 0 else {
                throw MetricFault(
                    reason: "has no usable baseline: a ratio to \(text(value)) in `\(name)` means nothing")
            }
            return value
        }
    }

    /// The interval of a rule with `confidence`, from samples that must belong to the metric.
    private func interval(_ rule: GateRule) throws(MetricFault) -> BootstrapInterval? {
        guard let confidence = rule.confidence else { return nil }
        let value = try metrics.number(at: rule.metric).get()
        guard let samples = input.samples[rule.metric] else {
            throw MetricFault(reason: "has no per-example results, which `confidence` needs")
        }
        guard samples.count >= Judge.fewestSamples else {
            throw MetricFault(
                reason: "has \(Format.count(samples.count, "per-example result")), fewer than \(Judge.fewestSamples)"
            )
        }
        guard samples.allSatisfy(\.isFinite) else {
            throw MetricFault(reason: "has per-example results that are not finite numbers")
        }
        let mean = samples.reduce(0, +) / Double(samples.count)
        guard abs(mean - value) <= 1e-6 * Swift.max(1, abs(value)) else {
            let (left, right) = distinctTexts(value, mean)
            throw MetricFault(
                reason: "is \(left), but its per-example results average \(right): they belong to another measurement")
        }
        return BootstrapInterval(ofMeanOf: samples, confidence: confidence, seed: seed)
    }
}

/// Two numbers with as few digits as show whether they differ.
private func distinctTexts(_ left: Double, _ right: Double) -> (String, String) {
    let short = (text(left), text(right))
    if left == right || short.0 != short.1 { return short }
    for places in 4...15 {
        let longer = (Format.fixed(left, places), Format.fixed(right, places))
        if longer.0 != longer.1 { return longer }
    }
    return (left.description, right.description)
}
