internal import Basics

/// A ZIP archive that is open for reading, such as the NPZ files of `numpy.savez` (PKWARE's APPNOTE 6.3).
///
/// Its directory is read and checked at once; members are read when they are asked for.
package final class ZipArchive: Sendable {
    struct Member: Sendable {
        var name: String
        var isDeflated: Bool
        var checkSum: UInt32
        var compressedSize: Int64
        var headerOffset: Int64
    }

    let path: String
    let members: [Member]
    private let file: OpenFile

    private static let maximumDirectorySize = 1 << 24

    /// - Throws: kind `.usage` if the file is no ZIP archive or larger than 4 GiB; kind `.damaged` if its directory is broken.
    package init(path: String) throws {
        self.path = path
        file = try OpenFile(reading: path)
        let size = try file.status().size
        let tail = try file.read(count: Int(min(size, 65557)), at: max(0, size - 65557))
        // The end record is the last place with its signature; a comment may follow.
        guard tail.count >= 22,
            let end = stride(from: tail.count - 22, through: 0, by: -1).first(where: {
                tail[$0...].starts(with: [0x50, 0x4B, 0x05, 0x06])
            })
        else {
            throw MLOpsError(
                .damaged, "`\(path)` is no whole ZIP archive: the end of its directory is missing",
                hint: "fetch the file again")
        }
        let record = tail[end...]
        let (count, length, offset) = (record.little(10, 2), record.little(12, 4), record.little(16, 4))
        guard offset != 0xFFFF_FFFF, length <= ZipArchive.maximumDirectorySize else {
            throw MLOpsError(
                .usage, "`\(path)` is a ZIP archive of more than 4 GiB or too many members",
                hint: "save each array into an NPY file of its own")
        }
        guard Int64(offset + length) <= size else {
            throw ZipArchive.damaged(path, "its directory at \(offset) has \(length) bytes, the file \(size)")
        }
        let directory = try file.read(count: length, at: Int64(offset))
        members = try ZipArchive.members(directory[...], count: count, path: path)
        let names = Dictionary(grouping: members, by: \.name)
        if let twice = names.first(where: { $0.value.count > 1 })?.key {
            throw ZipArchive.damaged(path, "it holds member `\(printable(twice))` twice")
        }
    }

    private static func members(_ directory: ArraySlice<UInt8>, count: Int, path: String) throws -> [Member] {
        var rest = directory
        var members: [Member] = []
        while members.count < count {
            guard rest.count >= 46, rest.starts(with: [0x50, 0x4B, 0x01, 0x02]) else {
                throw damaged(path, "entry \(members.count) of its directory is broken")
            }
            let nameLength = rest.little(28, 2)
            let length = 46 + nameLength + rest.little(30, 2) + rest.little(32, 2)
            guard rest.count >= length,
                let name = String(validating: rest.dropFirst(46).prefix(nameLength), as: UTF8.self)
            else { throw damaged(path, "entry \(members.count) of its directory is cut short or not UTF-8") }
            let (flags, method) = (rest.little(8, 2), rest.little(10, 2))
            guard flags & 1 == 0, method == 0 || method == 8, rest.little(20, 4) != 0xFFFF_FFFF else {
                throw MLOpsError(
                    .usage,
                    "`\(path)`: member `\(printable(name))` is encrypted, too large or compressed by method \(method)",
                    hint: "write it with `numpy.savez` or `numpy.savez_compressed`")
            }
            members.append(
                Member(
                    name: name, isDeflated: method == 8, checkSum: UInt32(rest.little(16, 4)),
                    compressedSize: Int64(rest.little(20, 4)), headerOffset: Int64(rest.little(42, 4))))
            rest = rest.dropFirst(length)
        }
        return members
    }

    /// The bytes of a member.
    func stream(_ member: Member) throws -> ByteStream {
        let header = try file.read(count: 30, at: member.headerOffset)[...]
        guard header.starts(with: [0x50, 0x4B, 0x03, 0x04]) else {
            throw ZipArchive.damaged(path, "member `\(printable(member.name))` has no header at \(member.headerOffset)")
        }
        let start = member.headerOffset + 30 + Int64(header.little(26, 2) + header.little(28, 2))
        let end = start + member.compressedSize
        guard end <= (try file.status().size) else {
            throw ZipArchive.damaged(path, "member `\(printable(member.name))` ends at \(end), behind the file")
        }
        return try ByteStream(
            name: "\(path)#\(printable(member.name))", file: file, range: start..<end, isDeflated: member.isDeflated,
            checkSum: member.checkSum)
    }

    private static func damaged(_ path: String, _ message: String) -> MLOpsError {
        MLOpsError(.damaged, "ZIP archive `\(path)`: \(message)", hint: "fetch the file again")
    }
}

extension ZipArchive {
    /// The names of an NPZ file's arrays, in its order.
    package var arrayNames: [String] {
        members.map { $0.name.hasSuffix(".npy") ? String($0.name.dropLast(4)) : $0.name }
    }

    /// The array `name` of an NPZ file.
    ///
    /// - Throws: kind `.notFound` if there is none; what `NPYReader` throws.
    package func array(_ name: String) throws -> RawArray {
        guard let index = arrayNames.firstIndex(of: name) else {
            throw MLOpsError(
                .notFound, "`\(path)` holds no array `\(printable(name))`",
                hint: nearestName(to: name, among: arrayNames).map { "did you mean `\($0)`?" }
                    ?? "it holds \(arrayNames.prefix(20).map(printable).joined(separator: ", "))")
        }
        return try NPYReader.read(try stream(members[index]))
    }
}

extension ArraySlice<UInt8> {
    /// The unsigned little-endian number of `size` bytes at `offset` from the start; the slice must reach so far.
    fileprivate func little(_ offset: Int, _ size: Int) -> Int {
        self[(startIndex + offset)..<(startIndex + offset + size)].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
}
