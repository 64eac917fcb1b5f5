internal import Basics
internal import Glibc

/// The folder of one run and its `run.json`, replaced as the run goes on.
package final class RunRecord {
    /// Relative to the repository.
    static func folder(_ id: String) -> String { ".mlops/runs/\(id)" }

    private let path: String
    private var isCreated = false
    private var lastWrite: ContinuousClock.Instant?
    private var lastCost = Duration.zero

    /// - Parameter folder: the run's folder, absolute.
    init(folder: String) { path = FileSystem.join(folder, "run.json") }

    /// An id that sorts by time: `20260131-120000-123-x7k2p9`.
    static func newID(at time: Timestamp = .now) -> String {
        let digits = time.description.filter(\.isNumber)
        return "\(digits.prefix(8))-\(digits.dropFirst(8).prefix(6))-\(digits.suffix(3))-\(token(length: 6))"
    }

    /// Random letters and digits.
    package static func token(length: Int) -> String {
        String((0..<length).map { _ in "0123456789abcdefghijklmnopqrstuvwxyz".randomElement() ?? "0" })
    }

    /// Writes the present state, unless writing costs more than a twentieth of the time: a run of thousands of quick stages
    /// must not spend it on its own record.
    func update(_ report: @autoclosure () -> RunReport) throws {
        let now = ContinuousClock.now
        if let lastWrite, now - lastWrite < lastCost * 20 { return }
        try createFolder()
        try FileSystem.replaceUnflushed(path, with: report().json.sealed.prettyBytes)
        lastWrite = ContinuousClock.now
        lastCost = ContinuousClock.now - now
    }

    /// Writes the final state; it is on the disk when this returns, if anything was executed.
    func finish(_ report: RunReport, durably: Bool) throws {
        try createFolder()
        let bytes = report.json.sealed.prettyBytes
        if durably {
            try FileSystem.replace(path, with: bytes)
        } else {
            try FileSystem.replaceUnflushed(path, with: bytes)
        }
    }

    /// A larger patch is told by its digest alone.
    static let patchLimit = 4 << 20

    /// Keeps the changes that a run happens on beside its record.
    ///
    /// - Returns: `{digest, byteCount, kept}`.
    func keep(patch: [UInt8]) throws -> JSONValue {
        let isKept = patch.count <= RunRecord.patchLimit
        if isKept {
            try createFolder()
            try FileSystem.replaceUnflushed(
                FileSystem.join(FileSystem.parent(of: path), "dirty.patch"), with: patch, mode: 0o600)
        }
        return [
            "digest": .string(Digest.of(patch).description), "byteCount": .int(Int64(patch.count)),
            "kept": .bool(isKept),
        ]
    }

    func createFolder() throws {
        guard !isCreated else { return }
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        isCreated = true
    }
}
