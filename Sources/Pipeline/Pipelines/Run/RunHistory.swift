internal import Basics

/// The records in `.mlops/runs`.
package struct RunHistory: Sendable {
    package let folder: String

    /// - Parameter workspace: the folder `.mlops`.
    package init(workspace: String) { folder = FileSystem.join(workspace, "runs") }

    /// The ids of all runs that have a record, the oldest first.
    package func ids() throws -> [String] {
        guard FileSystem.isDirectory(folder) else { return [] }
        return try FileSystem.list(folder).filter {
            !$0.hasPrefix(".") && FileSystem.exists(FileSystem.join(folder, "\($0)/run.json"))
        }.sorted()
    }

    package func record(_ id: String) throws -> RecordedRun {
        let path = FileSystem.join(folder, "\(id)/run.json")
        do {
            return try RecordedRun(try JSONValue(parsing: try FileSystem.read(path), source: path), source: path)
        } catch let error as MLOpsError where error.kind == .usage {
            throw MLOpsError(
                .damaged, "`\(path)` is not the record of a run",
                hint: "run `mlops run rm \(id)` if it does not matter", cause: error)
        }
    }

    /// All that can be read, the oldest first, and the ids of those that cannot.
    package func all() throws -> (runs: [RecordedRun], broken: [String]) {
        var (runs, broken): ([RecordedRun], [String]) = ([], [])
        for id in try ids() {
            do { runs.append(try record(id)) } catch { broken.append(id) }
        }
        return (runs, broken)
    }

    /// The id that `text` means: an id, a beginning or an end of one that no other has, `latest`, or `latest~2`.
    ///
    /// - Throws: kind `.notFound`, or `.usage` if several runs are meant.
    package func id(of text: String) throws -> String {
        let ids = try ids()
        if ids.contains(text) { return text }
        if text == "latest" || text.hasPrefix("latest~") {
            guard let back = text == "latest" ? 0 : Int(text.dropFirst(7)), back >= 0, back < ids.count else {
                throw unknown(text, count: ids.count)
            }
            return ids[ids.count - 1 - back]
        }
        let found = text.count < 4 ? [] : ids.filter { $0.hasPrefix(text) || $0.hasSuffix(text) }
        guard let first = found.first else { throw unknown(text, count: ids.count) }
        guard found.count == 1 else {
            throw MLOpsError(
                .usage, "`\(printable(text))` could be any of \(found.count) runs",
                hint: "give more of the id, such as `\(first)`")
        }
        return first
    }

    private func unknown(_ text: String, count: Int) -> MLOpsError {
        MLOpsError(
            .notFound, "there is no run `\(printable(text))`",
            hint: count == 0
                ? "run a pipeline with `mlops pipeline run`" : "run `mlops run list` to see the \(count) that exist")
    }
}
