import Basics
import TensorFiles
import Tensors
import TestSupport
import Testing

/// The fixtures that `make_arrays.py` wrote with numpy.
private func fixture(_ name: String) -> String {
    let tests = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
    return FileSystem.join(tests, "Fixtures/datasets/npy/\(name)")
}

@Suite struct NPYReaderTests {
    @Test(arguments: ["b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"], ["little", "big"])
    func everyTypeInBothByteOrdersIsRead(_ type: String, _ order: String) throws {
        let path = fixture("\(order)-\(type).npy")
        let array = try NPYReader.read(path)
        #expect(array.shape == [2, 3, 4])
        let expected = (0..<24).map { k -> Float in
            if type == "b1" { return k % 2 == 0 ? 1 : 0 }
            return Float(k * 5 - (type.hasPrefix("u") ? 0 : 60))
        }
        #expect(array.floats() == expected)
        #expect(try array.tensor(source: path).floats() == expected)
        if !type.hasPrefix("f") { #expect(try array.integers(source: path) == expected.map { Int64($0) }) }
    }

    @Test func columnMajorFilesAndAllVersionsAreRead() throws {
        let expected = (0..<24).map { Float($0) }
        for name in ["fortran.npy", "version-1.npy", "version-2.npy", "version-3.npy"] {
            let array = try NPYReader.read(fixture(name))
            #expect(array.shape == [2, 3, 4] && array.floats() == expected, "\(name)")
        }
        let scalar = try NPYReader.read(fixture("scalar.npy"))
        #expect(scalar.shape == [] && scalar.floats() == [2.5])
    }

    private func file(_ header: String, data: Int) -> [UInt8] {
        [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
            + [UInt8](repeating: 1, count: data)
    }

    @Test(arguments: [
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 8,
            "holds 8 bytes of data, expected 12 for 3 of f32"
        ),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9, "more than the 8 bytes"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8), }", 8, "more than 4.0 GiB"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807), }", 0, "more than 4.0 GiB"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 8, "a number overflows"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4, "expected a whole number"),
        ("{'descr': '<f4', 'fortran_order': No, 'shape': (1,), }", 4, "expected True or False"),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4, "repeated key `descr`"),
        ("{'descr': '<f4', 'shape': (1,)}", 4, "lacks one of"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 4, "elements of type `|O`"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, "elements of type `<c8`"),
        ("{'descr': '<f4", 0, "a quote is never closed"),
    ])
    func aWrongFileSaysWhatIsWrong(_ header: String, _ data: Int, _ words: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("x.npy", file(header, data: data))
        let error = try #require(throws: MLOpsError.self) { try NPYReader.read(path) }
        #expect(error.message.contains(words) && error.message.contains(path), "\(error.message)")
    }

    @Test func structuresAreRefusedWithAWayOut() throws {
        let error = try #require(throws: MLOpsError.self) { try NPYReader.read(fixture("structure.npy")) }
        #expect(error.message.contains("holds structures"))
    }

    @Test func noCutAndNoFlippedByteCrashes() throws {
        let folder = try TemporaryFolder()
        for name in ["little-i2.npy", "stored.npz", "deflated.npz"] {
            let whole = try FileSystem.read(fixture(name))
            for position in whole.indices {
                let cut = try folder.write("cut", Array(whole[..<position]))
                #expect(throws: MLOpsError.self, "\(name) cut to \(position)") { try ArrayFile.read("\(cut)#labels") }
                var bytes = whole
                bytes[position] ^= 0x21
                let flipped = try folder.write("flip", bytes)
                _ = try? ArrayFile.read(name.hasSuffix("npy") ? flipped : "\(flipped)#images")
            }
        }
    }
}

@Suite struct ArrayFileTests {
    @Test(arguments: ["stored.npz", "deflated.npz", "set.safetensors"])
    func anArrayOfSeveralIsChosenByName(_ name: String) throws {
        let images = try ArrayFile.read(fixture("\(name)#images"))
        let copies = name == "deflated.npz" ? 4 : 1
        #expect(images.shape == [2 * copies, 3, 4] && images.element == .u8)
        #expect(images.bytes == (0..<copies).flatMap { _ in (0..<24).map { UInt8($0) } })
        let labels = try ArrayFile.read(fixture("\(name)#labels"))
        #expect(try labels.integers(source: "x").prefix(2) == [1, 0])
        let unnamed = try #require(throws: MLOpsError.self) { try ArrayFile.read(fixture(name)) }
        #expect(unnamed.message.contains("holds 2 arrays, and none is chosen"))
        let wrong = try #require(throws: MLOpsError.self) { try ArrayFile.read(fixture("\(name)#image")) }
        #expect(wrong.kind == .notFound && wrong.hint == "did you mean `images`?")
    }

    @Test func aDamagedMemberIsFoundByItsCheckSum() throws {
        let folder = try TemporaryFolder()
        var bytes = try FileSystem.read(fixture("stored.npz"))
        let last = try #require(bytes.firstIndex(of: 23))
        bytes[last] = 99
        let path = try folder.write("x.npz", bytes)
        let error = try #require(throws: MLOpsError.self) { try ArrayFile.read("\(path)#images") }
        #expect(error.message.contains("check sum is wrong"))
    }

    @Test func aBombOfZerosAsksForNoMemory() throws {
        let folder = try TemporaryFolder()
        // 20 bytes cannot become 2 GiB, whatever the header says.
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2147483648,), }"
        let path = try folder.write(
            "x.npy",
            [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8) + [0, 0, 0])
        let error = try #require(throws: MLOpsError.self) { try NPYReader.read(path) }
        #expect(error.message.contains("holds 3 bytes of data, expected 2147483648"))
    }

    @Test func anotherFormatIsNamed() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("x", "hello world")
        let error = try #require(throws: MLOpsError.self) { try ArrayFile.read(path) }
        #expect(error.message.contains("is no file of arrays: it starts with `68656c6c6f20776f72`"))
    }
}
