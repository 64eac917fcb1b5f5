internal import Basics

/// Why a metric cannot be used, as the end of a sentence that starts with its name.
struct MetricFault: Error, Equatable {
    var reason: String
}

/// The numbers in nested objects, by path.
struct MetricTable {
    private var leaves: [String: JSONValue] = [:]
    private var ambiguous: Set<String> = []

    init(_ json: JSONValue) { collect(json, path: "") }

    private mutating func collect(_ json: JSONValue, path: String) {
        if case .object(let members) = json {
            for (key, value) in members { collect(value, path: path.isEmpty ? key : path + "." + key) }
        } else if leaves.updateValue(json, forKey: path) != nil {
            ambiguous.insert(path)
        }
    }

    /// The finite number at `path`.
    func number(at path: String) -> Result<Double, MetricFault> {
        if ambiguous.contains(path) { return fault("is given more than once") }
        switch leaves[path] {
        case nil: return fault(missingReason(path))
        case .null: return fault("is null")
        case .bool(let value): return fault("is \(value), not a number")
        case .string(let value): return fault("is the text \"\(printable(value))\", not a number")
        case .array: return fault("is a list, not a number")
        case .object: return fault("is a group of metrics, not a number")
        case .int(let value): return .success(Double(value))
        case .double(let value): return value.isFinite ? .success(value) : fault("is \(value), not a finite number")
        }
    }

    private func fault(_ reason: String) -> Result<Double, MetricFault> { .failure(MetricFault(reason: reason)) }

    private func missingReason(_ path: String) -> String {
        if leaves.isEmpty || leaves.keys.allSatisfy(\.isEmpty) { return "was not measured: there are no metrics" }
        let below = leaves.keys.filter { $0.hasPrefix(path + ".") }.sorted()
        if let first = below.first { return "is a group of metrics, not a number; did you mean `\(first)`?" }
        let sameName = leaves.keys.filter { $0.split(separator: ".").last == path.split(separator: ".").last }.sorted()
        let suggestion = nearestName(to: path, among: leaves.keys) ?? sameName.first
        return "was not measured" + (suggestion.map { "; did you mean `\($0)`?" } ?? "")
    }
}
