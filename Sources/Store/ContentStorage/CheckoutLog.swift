internal import Basics
internal import Glibc

/// When checkouts wrote into the workspace. They do not flush its files, so a power cut can leave a name with a part of its
/// bytes; the next checkout knows by this log that such a file is no work of the user's. Layout: Documentation/formats/store.md.
struct CheckoutLog: Sendable {
    /// A checkout that has begun, by the clock of its disk, in nanoseconds.
    struct Entry: Hashable, Sendable {
        /// The start of the machine that it belongs to, as the kernel calls it.
        var boot: String
        var start: Int64
    }

    /// A log that is longer than this, in bytes, loses its older half.
    private static let limit = 32 << 10

    let path: String

    /// Notes a checkout that begins, so that a power cut does not take the note. It is advice: without it a file that is torn
    /// is taken for the user's.
    func begin(at start: Int64) -> Entry? {
        guard let boot = MachineStart.id else { return nil }
        shorten()
        LineLog.append(["\(boot) \(start) -"], to: path, flushes: true)
        return Entry(boot: boot, start: start)
    }

    func end(_ entry: Entry, at end: Int64) { LineLog.append(["\(entry.boot) \(entry.start) \(end)"], to: path) }

    /// The times of the checkouts before the machine was last started: as long as it runs, no file loses bytes. One whose end
    /// is not known was cut off.
    func beforeStart() -> [ClosedRange<Int64>] {
        guard let boot = MachineStart.id, let text = try? FileSystem.readText(path) else { return [] }
        var ends: [Entry: Int64] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            // Of a line that was cut off the end is missing, or too early.
            guard parts.count == 3, parts[0] != boot, let start = Int64(parts[1]),
                let end = parts[2] == "-" ? .max : Int64(parts[2]), end >= start
            else { continue }
            let entry = Entry(boot: String(parts[0]), start: start)
            ends[entry] = min(end, ends[entry] ?? .max)
        }
        return ends.map { $0.key.start...$0.value }
    }

    private func shorten() {
        guard let status = try? FileStatus.of(path), status.size > CheckoutLog.limit,
            let lines = try? FileSystem.readText(path).split(separator: "\n")
        else { return }
        let kept = lines.suffix(lines.count / 2).map { $0 + "\n" }.joined()
        try? FileSystem.replaceUnflushed(path, with: Array(kept.utf8))
    }
}

extension ContentStore {
    private var checkouts: CheckoutLog { CheckoutLog(path: FileSystem.join(folder, "store/checkouts")) }

    /// `body`, which writes files of the workspace into `base` or below.
    func notingCheckout(into base: OpenFile, _ body: () async throws -> Void) async throws {
        func time() -> Int64 { StableRead.diskTime(at: base.descriptor) ?? StableRead.now() }
        let entry = isScratch ? nil : checkouts.begin(at: time())
        defer { if let entry { checkouts.end(entry, at: time()) } }
        try await body()
    }

    /// Those of `losses` that a checkout wrote and a power cut tore; nothing is lost with them, for what they hold is in what
    /// replaces them.
    func torn(_ losses: [CheckoutPlan.Loss], in scan: WorkspaceScan) -> Set<String> {
        let times = losses.contains { $0.replacement != nil } ? checkouts.beforeStart() : []
        if times.isEmpty { return [] }
        return Set(losses.filter { isTorn($0, in: scan, times) }.map(\.path))
    }

    /// Whether the file was written in one of `times` and holds bytes of its replacement, each where it belongs, or zeros.
    private func isTorn(_ loss: CheckoutPlan.Loss, in scan: WorkspaceScan, _ times: [ClosedRange<Int64>]) -> Bool {
        guard let replacement = loss.replacement, loss.byteCount <= replacement.byteCount, !loss.isSpecial,
            let file = try? scan.root.open(loss.path, flags: O_RDONLY | O_NONBLOCK), let status = try? file.status(),
            status.kind == .file, times.contains(where: { $0.contains(status.modificationNanoseconds) }),
            let chunks = try? chunks(ofFile: replacement.digest, byteCount: replacement.byteCount)
        else { return false }
        var offset: Int64 = 0
        for chunk in chunks where offset < status.size {
            let count = min(chunk.byteCount, status.size - offset)
            guard let found = try? file.read(count: Int(count), at: offset),
                let wanted = try? plain(ObjectKey(.chunk, chunk.chunk)), found.count <= wanted.count,
                zip(found, wanted).allSatisfy({ $0 == $1 || $0 == 0 })
            else { return false }
            offset += chunk.byteCount
        }
        return true
    }
}
