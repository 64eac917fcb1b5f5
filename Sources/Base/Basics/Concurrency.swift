internal import Glibc

/// `work` of every item, in the items' order, at most `width` at a time; the first error cancels the rest.
package func mapConcurrently<Item: Sendable, Output: Sendable>(
    _ items: [Item], width: Int, _ work: @escaping @Sendable (Item) async throws -> Output
) async throws -> [Output] {
    precondition(width > 0, "width must be at least 1, not \(width)")
    return try await withThrowingTaskGroup(of: (Int, Output).self) { group in
        var outputs = [Output?](repeating: nil, count: items.count)
        for (index, item) in items.enumerated() {
            if index >= width, let (done, output) = try await group.next() { outputs[done] = output }
            group.addTask { (index, try await work(item)) }
        }
        for try await (done, output) in group { outputs[done] = output }
        return outputs.compactMap(\.self)
    }
}

/// How many processors this process may use, at least 1.
package func processorCount() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
