import Basics
import TestSupport
import Testing

@testable import ContentStorage

/// Bytes that must never change, or stores that are out there cannot be read any more.
@Suite struct FormatTests {
    @Test func theGearTableIsFormatOne() {
        #expect(Chunker.gear.count == 256)
        #expect(Chunker.gear[0] == goldenGear.first)
        #expect(Chunker.gear[255] == goldenGear.last)
        var bytes: [UInt8] = []
        for word in Chunker.gear { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
        #expect(Digest.of(bytes).hex == goldenGearDigest)
    }

    @Test func cutsFallWhereFormatOneCuts() {
        let lengths = StoreFolder.noise(1_000_000, seed: 42).withUnsafeBytes { Chunker.lengths(of: $0) }
        #expect(lengths == goldenLengths)
        #expect(lengths.reduce(0, +) == 1_000_000)
        #expect(lengths.dropLast().allSatisfy { (16 << 10...256 << 10).contains($0) })
    }

    @Test func cutsFallWhereThePlainRuleCuts() {
        for count in [16_385, 16_400, 70_001, 300_007, 999_999] {
            let bytes = StoreFolder.noise(count, seed: UInt64(count))
            var (hash, cut) = (UInt64(0), min(count, 256 << 10))
            for position in (16 << 10)..<cut {
                hash = (hash << 1) &+ Chunker.gear[Int(bytes[position])]
                if hash < 1 << (position < 64 << 10 ? 46 : 50) {
                    cut = position + 1
                    break
                }
            }
            #expect(bytes.withUnsafeBytes { Chunker.firstChunk(of: $0, isFinal: true) } == cut)
        }
    }

    @Test func whatLooksRandomIsNotCompressed() throws {
        for count in [1024, 5000, 60_000] {
            #expect(!StoreFolder.noise(count, seed: 3).withUnsafeBytes { Compressor.isWorthTrying($0) })
            let text = Array(String(repeating: "some,text,", count: count / 10).utf8)
            #expect(text.withUnsafeBytes { Compressor.isWorthTrying($0) })
            // Random bytes that come again within the sample.
            let block = StoreFolder.noise(512, seed: 4)
            let repeated = (0..<count / 512 + 1).flatMap { _ in block }
            if count > 2000 { #expect(repeated.withUnsafeBytes { Compressor.isWorthTrying($0) }) }
        }
        let floats = (0..<4000).map { Float($0) * 0.37 - 500 }
        #expect(floats.withUnsafeBytes { Compressor.isWorthTrying($0) })
    }

    @Test func cutsDoNotDependOnHowTheBytesArrive() {
        let bytes = StoreFolder.noise(2_000_000, seed: 7)
        let expected = bytes.withUnsafeBytes { Chunker.lengths(of: $0) }
        bytes.withUnsafeBytes { raw in
            var (lengths, start, end) = ([Int](), 0, 300_000)
            while start < raw.count {
                let seen = UnsafeRawBufferPointer(rebasing: raw[start..<min(end, raw.count)])
                if let length = Chunker.firstChunk(of: seen, isFinal: end >= raw.count) {
                    lengths.append(length)
                    start += length
                } else {
                    end += 70_000
                }
            }
            #expect(lengths == expected)
        }
    }

    @Test func aTreeIsWrittenAsFormatOneSays() throws {
        let listing = TreeListing(entries: [
            TreeEntry(name: "a", kind: .file, digest: Digest.of("x"), byteCount: 1, fileCount: 1),
            TreeEntry(name: "b", kind: .tree, digest: Digest.of("y"), byteCount: 258, fileCount: 3),
        ])
        let expected =
            "6d6c747201000000" + "0200000000000000" + "0101" + "61" + Digest.of("x").hex + "0100000000000000"
            + "0100000000000000" + "0401" + "62" + Digest.of("y").hex + "0201000000000000" + "0300000000000000"
        #expect(hexadecimal(listing.encoded()) == expected)
        #expect(try TreeListing(parsing: listing.encoded(), subject: "x") == listing)
    }

    @Test func aManifestIsWrittenAsFormatOneSays() throws {
        let manifest = FileManifest(depth: 0, entries: [.init(chunk: Digest.of("x"), byteCount: 70_000)])
        let body = "01000000" + "01000000" + "7011010000000000" + Digest.of("x").hex + "7011010000000000"
        let bytes = manifest.encoded()
        #expect(hexadecimal(bytes.dropLast(32)) == body)
        #expect(Digest(bytes: bytes.suffix(32)) == Digest.of(bytes.dropLast(32)))
        #expect(try FileManifest(parsing: bytes, id: Digest.of("file")) == manifest)
    }

    @Test func aManifestWithMidstatesIsWrittenAsVersionTwo() throws {
        let midstates = [Digest.of("1"), Digest.of("2")]
        let manifest = FileManifest(
            depth: 1, entries: [.init(chunk: Digest.of("x"), byteCount: 3 << 20)], midstates: midstates)
        let body =
            "02010000" + "01000000" + "0000300000000000" + Digest.of("x").hex + "0000300000000000" + midstates[0].hex
            + midstates[1].hex
        let bytes = manifest.encoded()
        #expect(hexadecimal(bytes.dropLast(32)) == body)
        #expect(try FileManifest(parsing: bytes, id: Digest.of("file")) == manifest)
        // One midstate too few, though all else is in order.
        var short = Array(bytes.dropLast(64))
        short += Digest.of(short).bytes
        #expect(throws: MLOpsError.self) { try FileManifest(parsing: short, id: Digest.of("file")) }
    }

    @Test func aPackIsWrittenAsFormatTwoSays() throws {
        let folder = try TemporaryFolder()
        let writer = try PackWriter(folder: folder.path, for: .sent)
        let text = String(repeating: "hello", count: 20)
        let compressed = try #require(Array(text.utf8).withUnsafeBytes { Compressor().compress($0) })
        for (content, codec, stored) in [("hello", PackCodec.raw, Array("hello".utf8)), (text, .zstd, compressed)] {
            let key = ObjectKey(.chunk, Digest.of(content))
            try writer.append(PackFrame(key: key, codec: codec, plainLength: content.utf8.count, stored: stored))
        }
        let pack = try writer.finish()
        let bytes = try FileSystem.read(pack.path)
        let length = UInt8(compressed.count)
        let first = "01000000" + Digest.of("hello").hex + "1000000000000000" + "05000000" + "05000000" + "00000000"
        let second =
            "01010000" + Digest.of(text).hex + "1500000000000000" + hexadecimal([length]) + "000000" + "64000000"
            + Digest.of(compressed).hex.prefix(8)
        let footer = bytes[(21 + compressed.count)..<(133 + compressed.count)]
        #expect(hexadecimal(bytes[..<21]) == "6d6c6f707370616b" + "0200000000000000" + "68656c6c6f")
        #expect(hexadecimal(footer) == first + second)
        let trailer = Array(bytes[(133 + compressed.count)...])
        #expect(hexadecimal(trailer[..<8]) == "7000000000000000")
        #expect(Digest(bytes: trailer[8..<40]) == Digest.of(footer))
        #expect(String(decoding: trailer[40...], as: UTF8.self) == "mlopsend")
        #expect(pack.digest == Digest.of(footer))
        #expect(pack.fileDigest == Digest.of(bytes))
        #expect(try PackReader.readFooter(at: pack.path) == pack.entries)
    }

    @Test func filesOfAnotherFormatAreRefusedWithTheirFormat() throws {
        let folder = try TemporaryFolder()
        let old = Array("mlopspak".utf8) + [1, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 7, count: 200)
        try folder.write("old.pack", old)
        let pack = #expect(throws: MLOpsError.self) { try PackReader.readFooter(at: folder("old.pack")) }
        #expect(pack?.message.contains("old.pack` has format 1, and this `mlops` reads format 2 alone") == true)
        #expect(pack?.hint?.contains("add or push the data again") == true)
        var index = PackIndexFile(packs: []).encode()
        index[8] = 3
        let newer = #expect(throws: MLOpsError.self) { try PackIndexFile.decode(index, subject: "`x.idx`") }
        #expect(newer?.message == "`x.idx` has format 3, and this `mlops` reads format 2 alone")
    }

    @Test func aLongManifestIsCutIntoSegmentsThatAnInsertionLeavesAlone() throws {
        var chunks = (0..<20_000).map { FileManifest.Entry(chunk: Digest.of("chunk \($0)"), byteCount: 65_536) }
        let (manifest, segments) = FileManifest.make(of: chunks)
        #expect(manifest.depth == 1)
        #expect(manifest.byteCount == 20_000 * 65_536)
        #expect(try segments.flatMap { try FileManifest.entries(ofSegment: $0) } == chunks)
        chunks.insert(.init(chunk: Digest.of("new"), byteCount: 20_000), at: 10_000)
        let changed = FileManifest.make(of: chunks).manifest
        let common = Set(manifest.entries).intersection(changed.entries).count
        #expect(common >= manifest.entries.count - 2)
    }

    // MARK: Hostile input

    @Test(arguments: ["..", ".", "", "a/b", "/etc", "a\u{0}b", "a\nb", ".git", ".GIT", ".mlops", "\u{7F}"])
    func aTreeWithAHostileNameIsRefused(_ name: String) throws {
        let listing = TreeListing(entries: [
            TreeEntry(name: name, kind: .file, digest: Digest.of("x"), byteCount: 1, fileCount: 1)
        ])
        #expect(throws: MLOpsError.self) { try TreeListing(parsing: listing.encoded(), subject: "x") }
    }

    @Test func aHostileTreeWritesNothingOutside() async throws {
        let project = try StoreFolder()
        let content = Array("owned".utf8)
        _ = try await project.store.add(bytes: content)
        for name in ["../escaped", "..", "/tmp/escaped"] {
            let listing = TreeListing(entries: [
                TreeEntry(name: name, kind: .file, digest: Digest.of(content), byteCount: 5, fileCount: 1)
            ]).encoded()
            let writer = try PackWriter(folder: try project.store.packsFolder())
            try writer.append(
                PackFrame(
                    key: ObjectKey(.tree, Digest.of(listing)), codec: .raw, plainLength: listing.count, stored: listing)
            )
            let pack = try writer.finish()
            // Refused on arrival, and on use should it be here all the same.
            #expect(throws: MLOpsError.self) {
                try project.store.install(packAt: pack.path, digest: pack.digest, entries: pack.entries)
            }
            let again = try PackWriter(folder: try project.store.packsFolder())
            try again.append(
                PackFrame(
                    key: ObjectKey(.tree, Digest.of(listing)), codec: .raw, plainLength: listing.count, stored: listing)
            )
            let forced = try again.finish()
            try project.store.packs.install(temporary: forced.path, as: forced.digest)
            let root = ContentRoot(digest: Digest.of(listing), kind: .tree, byteCount: 5, fileCount: 1)
            let store = try project.reopened()
            await #expect(throws: MLOpsError.self) { try await store.checkout(root, to: project.path("data/in")) }
        }
        #expect(!FileSystem.exists(project.path("data/escaped")))
        #expect(!FileSystem.exists(project.path("escaped")))
    }

    @Test func treesThatAreNotCanonicalAreRefused() throws {
        let entries = ["b", "a"].map {
            TreeEntry(name: $0, kind: .file, digest: Digest.of("x"), byteCount: 1, fileCount: 1)
        }
        let unsorted = TreeListing(entries: entries).encoded()
        let twice = TreeListing(entries: [entries[0], entries[0]]).encoded()
        let good = TreeListing(entries: [entries[0]]).encoded()
        var counted = good
        counted[8] = 0xFF
        var huge = good
        huge[15] = 0x7F
        for bytes in [unsorted, twice, good + [0], counted, huge, []] + (0..<good.count).map({ Array(good[..<$0]) }) {
            #expect(throws: MLOpsError.self) { try TreeListing(parsing: bytes, subject: "x") }
        }
    }

    @Test func temporariesOfDeadProcessesAreRemovedAndThoseInUseStay() throws {
        let folder = try TemporaryFolder()
        let packs = PackFolder(path: folder.path)
        let writer = try PackWriter(folder: folder.path)
        try folder.write(FileSystem.name(of: TemporaryFile.path(beside: "x")), "left")
        try folder.write(".of-another-machine.mlops-tmp", "in use, as far as can be told")
        #expect(packs.removeLeftovers() == 1)
        #expect(try FileSystem.list(folder.path).count == 2)
        try writer.append(PackFrame(key: ObjectKey(.chunk, Digest.of("a")), codec: .raw, plainLength: 1, stored: [97]))
        #expect(try PackReader.readFooter(at: try writer.finish().path).count == 1)
    }

    @Test func aFrameThatClaimsTooMuchIsRefused() {
        let bomb = PackFrame(
            key: ObjectKey(.chunk, Digest.of("x")), codec: .zstd, plainLength: 1 << 40, stored: [1, 2, 3])
        #expect(throws: MLOpsError.self) { try bomb.decoded() }
    }
}

private let goldenGear: [UInt64] = [0x7B3DC94DA7F00753, 0x70C1F3DB37334B7D]
private let goldenGearDigest = "d3083981138f97f588a0a5504997e51f9cf7356a29c91fbf300dd369c8427202"
private let goldenLengths = [
    84295, 80919, 73181, 70194, 69309, 42255, 86019, 31878, 69448, 114039, 122278, 73838, 69858, 12489,
]
