package import ContentStorage

extension Transfer {
    /// Which of `roots` the remote does not hold, as far as its index tells.
    package func absent(_ roots: [ContentRoot]) async throws -> [ContentRoot] {
        guard !roots.isEmpty else { return [] }
        let index = try await indexReader.read(checksPacks: false).index
        return roots.filter { !index.holds($0) }
    }
}
