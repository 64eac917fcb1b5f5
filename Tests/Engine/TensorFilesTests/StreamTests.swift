import Basics
import TensorFiles
import TestSupport
import Testing

/// The fixtures that `make.py` wrote with Python's gzip module.
private func fixture(_ name: String) -> String {
    let tests = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
    return FileSystem.join(tests, "Fixtures/datasets/\(name)")
}

@Suite struct ByteStreamTests {
    @Test func gzipIsInflatedWhateverTheNameAndAcrossMembers() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("plain.csv", try FileSystem.read(fixture("two-members.csv.gz")))
        let bytes = try ByteStream(path: path).readAll(limit: 1 << 20)
        let expected = (0..<1000).map { "\($0),row \($0)\n" }.joined()
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test func aCutOrFlippedGzipFileIsDamaged() throws {
        let folder = try TemporaryFolder()
        let bytes = try FileSystem.read(fixture("two-members.csv.gz"))
        for count in [11, bytes.count / 3, bytes.count - 1] {
            let path = try folder.write("cut.gz", Array(bytes[..<count]))
            let error = try #require(throws: MLOpsError.self) { try ByteStream(path: path).readAll(limit: 1 << 20) }
            #expect(error.kind == .damaged && error.message.contains(path), "cut to \(count)")
        }
        var flipped = bytes
        flipped[bytes.count / 4] ^= 0x10
        let path = try folder.write("flipped.gz", flipped)
        let error = try #require(throws: MLOpsError.self) { try ByteStream(path: path).readAll(limit: 1 << 20) }
        #expect(error.kind == .damaged)
    }

    @Test func moreThanTheLimitIsRefused() throws {
        let error = try #require(throws: MLOpsError.self) {
            try ByteStream(path: fixture("two-members.csv.gz")).readAll(limit: 100)
        }
        #expect(error.message.contains("more than 100 B"))
    }

    @Test func aFolderOrAMissingFileIsNoDataFile() throws {
        let folder = try TemporaryFolder()
        #expect(throws: MLOpsError.self) { try ByteStream(path: folder.path) }
        #expect(throws: MLOpsError.self) { try ByteStream(path: folder("none")) }
    }
}

@Suite struct IDXReaderTests {
    @Test func picturesAndLabelsHaveTheirShapes() throws {
        let images = try IDXReader.read(fixture("images-idx3-ubyte.gz"))
        #expect(images.shape == [12, 4, 5])
        let pixels: [UInt8] = (0..<240).map { UInt8(($0 * 7 + 3) % 256) }
        #expect(images.bytes == pixels)
        let labels: [UInt8] = (0..<12).map { UInt8($0 % 3) }
        #expect(try IDXReader.read(fixture("labels-idx1-ubyte.gz")).bytes == labels)
    }

    @Test(arguments: [
        ([UInt8]("PNG!....".utf8), "not an IDX file", MLOpsError.Kind.usage),
        ([0, 0, 0x0F, 1, 0, 0, 0, 1, 0, 0, 0, 0], "type `0f`", .usage),
        ([0, 0, 8], "ends after 3 bytes", .damaged),
        ([0, 0, 8, 2, 0, 0, 0, 1], "inside the IDX header", .damaged),
        ([0, 0, 8, 1, 0, 0, 0, 5, 1, 2], "holds 2 bytes of data, expected 5 for 5 of u8", .damaged),
        ([0, 0, 8, 1, 0, 0, 0, 1, 1, 2], "holds more than the 1 bytes", .damaged),
        ([0, 0, 8, 3] + [UInt8](repeating: 0xFF, count: 12), "4294967295 of u8, more than 4.0 GiB", .damaged),
    ])
    func aWrongFileSaysWhatIsWrong(_ bytes: [UInt8], _ words: String, _ kind: MLOpsError.Kind) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("x-ubyte", bytes)
        let error = try #require(throws: MLOpsError.self) { try IDXReader.read(path) }
        #expect(error.message.contains(words))
        #expect(error.kind == kind)
    }
}
