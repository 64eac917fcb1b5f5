internal import Basics
internal import Glibc

/// Takes a stage's output: writes it to a file, hands out its lines, keeps the last of them.
///
/// Memory and disk are bounded whatever the stage prints: the file keeps the first `headLimit` bytes and the last
/// `tailLimit`; a line longer than `lineLimit` bytes is cut.
package final class StageLog {
    static let headLimit = 64 << 20
    static let tailLimit = 1 << 20
    static let lineLimit = 8192
    static let keptLines = 20

    private let file: OpenFile
    private let headLimit: Int
    private let tailLimit: Int
    private let onLine: (String) -> Void
    /// Hides secrets before anything is written or handed out; nil if there are none.
    private var masking: SecretMasker.Stream?
    private var headCount = 0
    /// A ring of the last bytes beyond the head.
    private var tail: [UInt8] = []
    private var tailCount = 0
    private var line: [UInt8] = []
    private var isCut = false
    private var endsInReturn = false
    package private(set) var lastLines: [String] = []
    private var failure: (any Error)?

    /// - Parameter onLine: gets each line, without its newline and without control characters.
    init(
        path: String, headLimit: Int = StageLog.headLimit, tailLimit: Int = StageLog.tailLimit,
        masker: SecretMasker = .none, onLine: @escaping (String) -> Void
    ) throws {
        try FileSystem.removeFile(path)
        file = try OpenFile(creating: path, mode: 0o644)
        self.headLimit = headLimit
        self.tailLimit = tailLimit
        self.onLine = onLine
        masking = masker.stream()
    }

    package func append(_ bytes: UnsafeRawBufferPointer) {
        guard masking != nil else { return put(bytes) }
        var clear: [UInt8] = []
        masking?.append(bytes, to: &clear)
        clear.withUnsafeBytes { put($0) }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) {
        write(bytes)
        var rest = bytes[...]
        while let end = rest.firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
            take(rest[..<end])
            let isReturn = rest[end] == 0x0D
            // `\r\n` ends one line; a lone `\r`, as progress bars print it, ends one too.
            if !(rest[end] == 0x0A && endsInReturn && line.isEmpty) { endLine() }
            endsInReturn = isReturn
            rest = rest[(end + 1)...]
        }
        take(rest)
    }

    private func take(_ bytes: Slice<UnsafeRawBufferPointer>) {
        guard !bytes.isEmpty else { return }
        endsInReturn = false
        let room = StageLog.lineLimit - line.count
        line += bytes.prefix(room)
        if bytes.count > room { isCut = true }
    }

    private func endLine() {
        let text = StageLog.plain(String(decoding: line, as: UTF8.self)) + (isCut ? "…" : "")
        line.removeAll(keepingCapacity: true)
        isCut = false
        onLine(text)
        guard !text.isEmpty else { return }
        if lastLines.count == StageLog.keptLines { lastLines.removeFirst() }
        lastLines.append(text)
    }

    /// Ends the last line and the file.
    ///
    /// - Throws: the first error of writing the file, such as a full disk.
    package func finish() throws {
        var rest: [UInt8] = []
        masking?.finish(&rest)
        rest.withUnsafeBytes { put($0) }
        if !line.isEmpty { endLine() }
        if tailCount > 0, failure == nil {
            do {
                let left = tailCount - min(tailCount, tailLimit)
                if left > 0 { try file.write(Array("\n… \(left) bytes are left out here …\n".utf8)) }
                if tailCount > tailLimit {
                    let start = tailCount % tailLimit
                    try file.write(Array(tail[start...]))
                    try file.write(Array(tail[..<start]))
                } else {
                    try file.write(Array(tail[..<tailCount]))
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        guard failure == nil else { return }
        let head = min(bytes.count, headLimit - headCount)
        if head > 0 {
            do {
                try file.write(UnsafeRawBufferPointer(rebasing: bytes[..<head]))
            } catch {
                failure = error
            }
            headCount += head
        }
        keepTail(UnsafeRawBufferPointer(rebasing: bytes[head...]))
    }

    private func keepTail(_ bytes: UnsafeRawBufferPointer) {
        // Only the last `tailLimit` bytes of a block can matter.
        let skipped = max(0, bytes.count - tailLimit)
        tailCount += skipped
        var rest = UnsafeRawBufferPointer(rebasing: bytes[skipped...])
        if tail.isEmpty, !rest.isEmpty { tail = [UInt8](repeating: 0, count: tailLimit) }
        while !rest.isEmpty {
            let start = tailCount % tailLimit
            let count = min(rest.count, tailLimit - start)
            let piece = UnsafeRawBufferPointer(rebasing: rest[..<count])
            tail.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[start...]).copyMemory(from: piece)
            }
            tailCount += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// `text` without terminal sequences; other control characters are shown as `\u{…}`, tabs as spaces.
    static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }) else {
            return text
        }
        var output = String.UnicodeScalarView()
        var scalars = text.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            guard scalar == "\u{1B}" else {
                output.append(scalar == "\t" ? " " : scalar)
                continue
            }
            switch scalars.first {
            case "[":
                scalars = scalars.dropFirst().drop { !(0x40...0x7E).contains($0.value) }.dropFirst()
            case "]":
                scalars = scalars.drop { $0 != "\u{07}" && $0 != "\u{1B}" }
                if scalars.popFirst() == "\u{1B}" { scalars = scalars.dropFirst() }
            default: scalars = scalars.dropFirst()
            }
        }
        return printable(String(output))
    }
}
