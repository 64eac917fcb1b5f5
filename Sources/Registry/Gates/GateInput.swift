package import Basics

/// What a gate looks at.
package struct GateInput: Sendable {
    /// Metrics in nested objects; the path `test.accuracy` leads to a number.
    package var metrics: JSONValue
    /// For rules with `confidence`: the per-example values whose mean is the metric, by the metric's path. Right or
    /// wrong as 1 or 0 for an accuracy, seconds for a mean latency.
    package var samples: [String: [Double]]
    /// The metrics of each baseline that exists, by the name that rules use.
    package var baselines: [String: JSONValue]
    /// The digest of what the metrics were measured on, if known.
    package var measuredDigest: Digest?
    /// The digest of what is to pass the gate, if known. A gate whose two digests differ refuses: the metrics are
    /// stale.
    package var subjectDigest: Digest?

    package init(
        metrics: JSONValue, samples: [String: [Double]] = [:], baselines: [String: JSONValue] = [:],
        measuredDigest: Digest? = nil, subjectDigest: Digest? = nil
    ) {
        self.metrics = metrics
        self.samples = samples
        self.baselines = baselines
        self.measuredDigest = measuredDigest
        self.subjectDigest = subjectDigest
    }
}
