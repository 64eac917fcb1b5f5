internal import Basics

/// Where bytes lie in a file of the workspace.
struct FilePlace {
    /// As in the stat cache: below the project, or absolute.
    var path: String
    var offset: Int64
    var status: FileStatus
}

/// A chunk that was left in its file.
struct InPlaceChunk: Sendable, Hashable {
    var id: Digest
    var offset: Int64
    var length: UInt32
}

/// A file of the workspace that holds chunks for the store, as it looked when they were hashed.
struct InPlaceFile: Sendable, Hashable {
    var path: String
    var byteCount: Int64
    var modificationNanoseconds: Int64
    var changeNanoseconds: Int64
    var inode: UInt64
    var chunks: [InPlaceChunk] = []

    init(_ place: FilePlace) {
        path = place.path
        byteCount = place.status.size
        modificationNanoseconds = place.status.modificationNanoseconds
        changeNanoseconds = place.status.changeNanoseconds
        inode = place.status.inode
    }

    init(
        path: String, byteCount: Int64, modificationNanoseconds: Int64, changeNanoseconds: Int64 = 0, inode: UInt64 = 0
    ) {
        self.path = path
        self.byteCount = byteCount
        self.modificationNanoseconds = modificationNanoseconds
        self.changeNanoseconds = changeNanoseconds
        self.inode = inode
    }

    /// Whether the file still looks as it did: what it holds is compared with its digests whenever it is read, so a new inode,
    /// as a copied project has, is no reason to give it up.
    func matches(_ status: FileStatus?) -> Bool {
        status?.kind == .file && status?.size == byteCount
            && status?.modificationNanoseconds == modificationNanoseconds
    }
}

/// A chunk's place in the workspace.
struct InPlaceLocation: Sendable {
    /// Without its chunks.
    var file: InPlaceFile
    var offset: Int64
    var length: Int
}

/// `.mlops/store/inplace/`: what additions in place have left in the workspace, one file an addition, named by the SHA-256 of
/// its bytes. Layout: Documentation/formats/store.md.
struct InPlaceFolder: Sendable {
    private static let magic = Array("mlopsinp".utf8)
    private static let version: UInt32 = 1
    static let ending = ".inplace"

    let path: String

    /// The names of the records here.
    func list() throws -> Set<String> {
        guard FileSystem.isDirectory(path) else { return [] }
        return Set(try FileSystem.list(path).filter { $0.hasSuffix(InPlaceFolder.ending) && !$0.hasPrefix(".") })
    }

    /// Writes a record of `files`, durably; its name.
    func write(_ files: [InPlaceFile]) throws -> String {
        let bytes = InPlaceFolder.encode(files)
        let name = Digest.of(bytes).hex + InPlaceFolder.ending
        if !FileSystem.isDirectory(path) {
            try FileSystem.createDirectories(path)
            try FileSystem.synchronizeDirectory(FileSystem.parent(of: path))
        }
        try Failpoint.reach("inplace.record")
        try FileSystem.replace(FileSystem.join(path, name), with: bytes, mode: 0o444)
        return name
    }

    /// - Throws: kind `.damaged` if it does not hold what its name says.
    func read(_ name: String) throws -> [InPlaceFile] {
        let file = FileSystem.join(path, name)
        let bytes = try FileSystem.read(file)
        guard Digest.of(bytes).hex + InPlaceFolder.ending == name else {
            throw MLOpsError(
                .damaged, "`\(file)` does not hold the bytes that its name says",
                hint: "run `mlops add --in-place` once more on what was added in place")
        }
        return try InPlaceFolder.decode(bytes, subject: "`\(file)`")
    }

    static func encode(_ files: [InPlaceFile]) -> [UInt8] {
        var writer = ByteWriter(capacity: files.reduce(24) { $0 + 42 + $1.path.utf8.count + 44 * $1.chunks.count })
        writer.write(magic)
        writer.write(version)
        writer.write(UInt32(0))
        writer.write(UInt64(files.count))
        for file in files {
            writer.write(UInt16(file.path.utf8.count))
            writer.write(Array(file.path.utf8))
            writer.write(file.byteCount)
            writer.write(file.modificationNanoseconds)
            writer.write(file.changeNanoseconds)
            writer.write(file.inode)
            writer.write(UInt64(file.chunks.count))
            for chunk in file.chunks {
                writer.write(chunk.id)
                writer.write(chunk.offset)
                writer.write(chunk.length)
            }
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], subject: String) throws -> [InPlaceFile] {
        try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw, subject: subject)
            guard try reader.take(8).elementsEqual(magic), try reader.read(UInt32.self) == version,
                try reader.read(UInt32.self) == 0
            else { throw reader.fault("is no record of files in place, or of another format") }
            let count = try reader.read(UInt64.self)
            guard count <= UInt64(reader.remaining / 42) else { throw reader.fault("is cut off") }
            var files: [InPlaceFile] = []
            for _ in 0..<count {
                let path = String(decoding: try reader.take(Int(try reader.read(UInt16.self))), as: UTF8.self)
                var file = InPlaceFile(
                    path: path, byteCount: try reader.read(Int64.self),
                    modificationNanoseconds: try reader.read(Int64.self),
                    changeNanoseconds: try reader.read(Int64.self), inode: try reader.read(UInt64.self))
                let chunkCount = try reader.read(UInt64.self)
                guard chunkCount <= UInt64(reader.remaining / 44) else { throw reader.fault("is cut off") }
                for _ in 0..<chunkCount {
                    let chunk = InPlaceChunk(
                        id: try reader.readDigest(), offset: try reader.read(Int64.self),
                        length: try reader.read(UInt32.self))
                    guard chunk.offset >= 0, chunk.length <= ChunkSizes.standard.maximum else {
                        throw reader.fault("has a length out of range")
                    }
                    file.chunks.append(chunk)
                }
                files.append(file)
            }
            guard reader.remaining == 0 else { throw reader.fault("has bytes after its end") }
            return files
        }
    }
}
