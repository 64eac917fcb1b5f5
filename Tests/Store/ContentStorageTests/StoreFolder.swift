import Basics
import ContentStorage
import Glibc
import TestSupport

/// A project folder with a store in it, for one test.
struct StoreFolder {
    let folder: TemporaryFolder
    let store: ContentStore

    init() throws {
        folder = try TemporaryFolder()
        try FileSystem.createDirectories(folder(".mlops"))
        store = try ContentStore(folder: folder(".mlops"))
    }

    /// The store as another process would open it.
    func reopened() throws -> ContentStore { try ContentStore(folder: folder(".mlops")) }

    func path(_ name: String) -> String { folder(name) }

    /// `count` bytes that do not repeat, the same for the same seed.
    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { raw in
            for index in 0..<count {
                if index % 8 == 0 { state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407 }
                raw[index] = UInt8(truncatingIfNeeded: (state ^ (state >> 31)) >> (UInt64(index % 8) * 7))
            }
        }
        return bytes
    }

    func packs() throws -> [String] {
        let root = folder(".mlops/store/packs")
        return try FileSystem.list(root).flatMap { group in
            try FileSystem.list(root + "/" + group).map { "\(root)/\(group)/\($0)" }
        }
    }

    /// A path told by its bytes: strings that differ in composition alone are equal.
    struct Path: Hashable, Comparable, CustomStringConvertible {
        let bytes: [UInt8]
        init(_ text: String) { bytes = Array(text.utf8) }
        var description: String { String(decoding: bytes, as: UTF8.self) }
        var isFolder: Bool { bytes.last == UInt8(ascii: "/") }
        static func < (left: Path, right: Path) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
    }

    /// Every file below `name`, as path → bytes; links as `-> target`; folders end in a slash.
    func contents(_ name: String) throws -> [Path: [UInt8]] {
        var found: [Path: [UInt8]] = [:]
        func visit(_ path: String, _ below: String) throws {
            for entry in try FileSystem.list(path) {
                let full = path + "/" + entry
                let relative = below.isEmpty ? entry : below + "/" + entry
                guard let status = try FileStatus.of(full) else { continue }
                switch status.kind {
                case .directory:
                    found[Path(relative + "/")] = []
                    try visit(full, relative)
                case .symlink:
                    var target = [CChar](repeating: 0, count: 4096)
                    let count = readlink(full, &target, target.count)
                    found[Path(relative)] = Array("-> ".utf8) + target[..<count].map { UInt8(bitPattern: $0) }
                default: found[Path(relative)] = try FileSystem.read(full) + (status.isExecutable ? [0x78] : [])
                }
            }
        }
        try visit(folder(name), "")
        return found
    }

    /// Changes one byte of a file that may be read-only.
    static func flip(_ path: String, at offset: Int, mask: UInt8 = 1) throws {
        var bytes = try FileSystem.read(path)
        bytes[offset] ^= mask
        try overwrite(path, with: bytes)
    }

    /// Changes one bit of the very file that the store may have open.
    static func flipInPlace(_ path: String, bit: Int) throws {
        chmod(path, 0o644)
        let file = open(path, O_RDWR)
        defer { close(file) }
        var byte: UInt8 = 0
        let isRead = pread(file, &byte, 1, off_t(bit / 8)) == 1
        byte ^= 1 << UInt8(bit % 8)
        guard isRead, pwrite(file, &byte, 1, off_t(bit / 8)) == 1 else {
            throw MLOpsError.system("change", path, errno: errno)
        }
    }

    static func overwrite(_ path: String, with bytes: [UInt8]) throws {
        try FileSystem.removeFile(path)
        try OpenFile(creating: path, mode: 0o644).write(bytes)
    }
}
