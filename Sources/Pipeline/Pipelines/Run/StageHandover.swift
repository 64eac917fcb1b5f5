package import Basics

/// What a stage hands to those after it, where each runs on a machine of its own.
package struct StageHandover: Sendable {
    package var stage: String
    package var outs: [StoredOutput]
    package var metrics: JSONValue?
    package var energy: JSONValue?
    /// The pointers of artifacts that it wrote, by their path in the repository.
    package var pointers: [String: String] = [:]

    /// - Parameter report: of a stage that succeeded.
    package init(_ report: StageReport) {
        stage = report.name
        outs = report.outs
        metrics = report.metrics
        energy = report.energy
    }

    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "format": 1, "stage": .string(stage), "outs": .array(outs.map(\.json)),
            "pointers": .object(pointers.mapValues { .string($0) }),
        ]
        members["metrics"] = metrics
        members["energy"] = energy
        return .object(members)
    }

    /// nil for what is no such record of this format.
    package init?(_ json: JSONValue) {
        guard json["format"]?.integer == 1, let stage = json["stage"]?.string, let outs = json["outs"]?.array,
            let pointers = json["pointers"]?.object
        else { return nil }
        self.stage = stage
        self.outs = outs.compactMap(StoredOutput.init)
        self.pointers = pointers.compactMapValues(\.string)
        guard self.outs.count == outs.count, self.pointers.count == pointers.count else { return nil }
        metrics = json["metrics"]
        energy = json["energy"]
    }
}
