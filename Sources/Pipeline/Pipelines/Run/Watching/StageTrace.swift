internal import Basics

/// What a command opened, as `strace` saw it.
struct StageTrace: Sendable {
    /// Files below the repository that were opened for reading, relative to it.
    private(set) var reads: Set<String> = []
    /// Those that were opened for writing, made, renamed to, or removed.
    private(set) var writes: Set<String> = []

    /// The path of `strace`; nil where it is not installed.
    static func find(searchPath: String?) -> String? {
        let folders = (searchPath ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").map(String.init)
        return (folders + ["/usr/bin"]).map { FileSystem.join($0, "strace") }.first {
            (try? FileStatus.of(FileSystem.resolved($0) ?? $0))?.isExecutable ?? false
        }
    }

    /// The arguments that start `program` under `strace`; the calls of each process go to a file of their own in the folder `log`.
    static func arguments(strace: String, log: String, program: String, arguments: [String]) -> [String] {
        // -D makes strace a companion of the program instead of its parent, which would wait for all that the program leaves
        // behind; -y prints the path behind a descriptor; the program's own name is given by its path, as strace starts no
        // other.
        [
            strace, "-D", "-ff", "-qq", "-y", "-s", "4096", "-o", FileSystem.join(log, "process"), "-e",
            "trace=open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlinkat,truncate",
            "-e", "signal=none", "--", program,
        ] + arguments.dropFirst()
    }

    /// Reads the files that `strace` wrote.
    init(log: String, root: String) throws {
        for name in try FileSystem.list(log) { try read(FileSystem.join(log, name), root) }
    }

    private mutating func read(_ path: String, _ root: String) throws {
        let file = try OpenFile(reading: path)
        var rest: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 20)
        var offset: Int64 = 0
        while true {
            let count = try block.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
            if count == 0 { break }
            offset += Int64(count)
            rest += block[..<count]
            let end = rest.lastIndex(of: 0x0A) ?? 0
            for line in rest[..<end].split(separator: 0x0A) { take(String(decoding: line, as: UTF8.self), root) }
            rest.removeFirst(end)
        }
    }

    /// One call: `openat(AT_FDCWD</repo>, "data/a.csv", O_RDONLY) = 3</repo/data/a.csv>`.
    private mutating func take(_ line: String, _ root: String) {
        guard let equals = line.lastRange(of: " = "), let bracket = line.firstIndex(of: "(") else { return }
        let result = line[equals.upperBound...]
        guard !result.hasPrefix("-1"), !result.hasPrefix("?") else { return }
        let name = line[..<bracket]
        let arguments = line[line.index(after: bracket)..<equals.lowerBound]
        if name.hasPrefix("open") || name == "creat" {
            guard let start = result.firstIndex(of: "<"),
                let path = below(root, result[result.index(after: start)...].dropLast())
            else { return }
            let isWrite =
                ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].contains { arguments.contains($0) } || name == "creat"
            if isWrite { writes.insert(path) } else if !arguments.contains("O_DIRECTORY") { reads.insert(path) }
        } else {
            for path in paths(arguments, root) { writes.insert(path) }
        }
    }

    /// The quoted paths of a call, each after the folder that it starts from: `AT_FDCWD</repo>, "a"`.
    private func paths(_ arguments: Substring, _ root: String) -> [String] {
        let pieces = arguments.split(separator: "\"", omittingEmptySubsequences: false)
        var found: [String] = []
        for index in stride(from: 1, to: pieces.count, by: 2) {
            var base = root
            if let open = pieces[index - 1].lastIndex(of: "<"), let close = pieces[index - 1].lastIndex(of: ">"),
                open < close
            {
                base = String(pieces[index - 1][pieces[index - 1].index(after: open)..<close])
            }
            if let path = below(root, Substring(FileSystem.absolute(String(pieces[index]), from: base))) {
                found.append(path)
            }
        }
        return found
    }

    private func below(_ root: String, _ path: some StringProtocol) -> String? {
        guard var text = FileSystem.relative(StageTrace.unescaped(String(path)), to: root), !text.isEmpty else {
            return nil
        }
        if text.hasSuffix(" (deleted)") { text.removeLast(10) }
        return text
    }

    /// Other bytes than ASCII are written as `\303\251`.
    private static func unescaped(_ text: String) -> String {
        guard text.contains("\\") else { return text }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x5C, let next = rest.popFirst() else {
                bytes.append(byte)
                continue
            }
            var value = Int(next) - 0x30
            guard (0...7).contains(value) else {
                bytes.append(["n": 10, "t": 9, "r": 13][Character(Unicode.Scalar(next))] ?? next)
                continue
            }
            for _ in 0..<2 {
                guard let digit = rest.first, (0x30...0x37).contains(digit) else { break }
                value = value * 8 + Int(digit) - 0x30
                rest = rest.dropFirst()
            }
            bytes.append(UInt8(truncatingIfNeeded: value))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension String {
    fileprivate func lastRange(of text: String) -> Range<String.Index>? {
        var found: Range<String.Index>?
        var start = startIndex
        while let range = self[start...].firstRange(of: text) {
            found = range
            start = range.upperBound
        }
        return found
    }
}
