internal import Basics
public import Tensors

extension Module {
    /// All parameters and buffers by path, as constants.
    public func state() -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for (path, parameter) in parameters() { result[path] = parameter.value.detached }
        for (path, buffer) in buffers() { result[path] = buffer.value.detached }
        return result
    }

    /// Sets parameters and buffers from a state.
    ///
    /// - Parameter strict: whether entries that are missing or too many are an error; a wrong shape always is.
    /// - Throws: one error that lists every missing, extra and mis-shaped entry by its path; nothing is changed then.
    public func load(_ state: [String: Tensor], strict: Bool = true) throws {
        var rest = state
        var faults: [String] = []
        var changes: [() throws -> Void] = []
        func take(_ path: String, _ present: Tensor, _ change: @escaping (Tensor) throws -> Void) {
            guard let value = rest.removeValue(forKey: path) else {
                if strict { faults.append("missing `\(path)` \(present.shape)") }
                return
            }
            if value.shape != present.shape {
                faults.append("`\(path)` has shape \(value.shape), expected \(present.shape)")
            } else if value.dtype != present.dtype {
                faults.append("`\(path)` is of \(value.dtype), expected \(present.dtype)")
            } else {
                changes.append { try change(value) }
            }
        }
        for (path, parameter) in parameters() { take(path, parameter.value) { try parameter.set($0) } }
        for (path, buffer) in buffers() { take(path, buffer.value) { buffer.value = $0.detached } }
        if strict { faults += rest.keys.sorted().map { "extra `\($0)` \(state[$0]?.shape ?? [])" } }
        guard faults.isEmpty else {
            throw MLOpsError(
                .failed,
                "the state does not fit \(kind), \(Format.count(faults.count, "fault")): "
                    + faults.joined(separator: "; "),
                hint: "build the model with the configuration that the state was saved with")
        }
        for change in changes { try change() }
    }
}
