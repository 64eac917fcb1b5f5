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

    /// Sets a part of this module from a part of another's state, as for transfer of what was learned: entries `source.NAME`
    /// become `target.NAME`. The rest of the module stays.
    ///
    /// - Parameters:
    ///   - source: a module's path in the state; empty means all of it.
    ///   - target: a module's path here; empty means this one.
    ///   - except: patterns of paths here that are left alone, such as a head for other classes.
    /// - Returns: the paths that were set.
    /// - Throws: one error that lists every entry that has no place here, or another shape; nothing is changed then.
    @discardableResult
    public func loadPart(
        of state: [String: Tensor], from source: String = "", to target: String = "", except: [String] = []
    ) throws -> [String] {
        let places = Set(parameters().map(\.path) + buffers().map(\.path))
        var part: [String: Tensor] = [:]
        for (name, value) in state where source.isEmpty || name.hasPrefix(source + ".") {
            let rest = source.isEmpty ? name : String(name.dropFirst(source.count + 1))
            let path = target.isEmpty ? rest : target + "." + rest
            if !except.contains(where: { PathPattern($0).matches(path) }) { part[path] = value }
        }
        guard !part.isEmpty else {
            throw MLOpsError(
                .usage, "the state has no entry below `\(source)` to load",
                hint: "its entries start with "
                    + Set(state.keys.map { String($0.prefix { $0 != "." }) }).sorted().prefix(12)
                    .map { "`\($0)`" }.joined(separator: ", "))
        }
        let homeless = part.keys.filter { !places.contains($0) }.sorted()
        guard homeless.isEmpty else {
            throw MLOpsError(
                .failed,
                "\(kind) has no place for \(Format.count(homeless.count, "entry", plural: "entries")) of the state: "
                    + homeless.map { "`\($0)`" }.joined(separator: ", "),
                hint: "name another module to load to, or leave them out with `except`")
        }
        try load(part, strict: false)
        return part.keys.sorted()
    }
}
