import Basics
import TensorFiles
import Tensors
import TestSupport
import Testing

private func fixture(_ name: String) -> String {
    let tests = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
    return FileSystem.join(tests, "Fixtures/interchange/\(name)")
}

@Suite struct SafetensorsTests {
    @Test func everyDtypeThatPythonWroteIsRead() throws {
        let file = try SafetensorsFile(path: fixture("all-dtypes.safetensors"))
        #expect(file.header.metadata == ["mlops": "{\"a\":\"b\"}"])
        let b = try file.tensor("b.f32")
        #expect(b.shape == [2, 3])
        let values: [Float] = [1.5, -2.25, Float(bitPattern: 214087), 3.4e38, 0.1, -0.0]
        #expect(b.floats() == values)
        #expect(try file.tensor("f64").doubles() == [1.0 / 3, -1e300])
        #expect(try file.tensor("i64").int64s() == [.min, .max])
        #expect(try file.tensor("i32").elements(as: Int32.self) == [.min, .max])
        #expect(try file.tensor("i8").elements(as: Int8.self) == [.min, .max, 0])
        #expect(try file.tensor("u8").elements(as: UInt8.self) == [.min, .max])
        #expect(try file.tensor("scalar").item() == 7)
        #expect(try file.tensor("empty").shape == [0, 4])
        #expect(try file.tensor("quoted \"name\" é").elements(as: UInt8.self) == [1])
    }

    @Test func whatIsWrittenIsByteForByteWhatPythonWrites() throws {
        let bytes = try FileSystem.read(fixture("all-dtypes.safetensors"))
        let file = try SafetensorsFile(path: fixture("all-dtypes.safetensors"))
        #expect(SafetensorsFile.encode(try file.tensors(), metadata: file.header.metadata) == bytes)
    }

    @Test func halvesAndBooleansStayWhatTheyAre() throws {
        let file = try SafetensorsFile(path: fixture("halves.safetensors"))
        let halves: [Float] = [1, -0.5, 65504, 0x1p-24, 0.33300781, .infinity, -0.0]
        #expect(try file.tensor("f16").floats() == halves)
        let brain: [Float] = [1, -0.5, Float(bitPattern: 0x7F61_0000)]
        #expect(try Array(file.tensor("bf16").floats()[0...2]) == brain)
        #expect(try file.tensor("bool").int64s() == [1, 0, 1])
        #expect(try file.tensor("f16").dtype == .f16 && file.tensor("bf16").dtype == .bf16)
        #expect(try file.tensor("bool").dtype == .bool)
        #expect(try file.tensor("bool").elements(as: Bool.self) == [true, false, true])
        let bytes = SafetensorsFile.encode(try file.tensors())
        let folder = try TemporaryFolder()
        let copy = try SafetensorsFile(path: try folder.write("copy.safetensors", bytes))
        for name in file.names { #expect(try copy.tensor(name).isIdentical(to: try file.tensor(name)), "\(name)") }
    }

    @Test func aFileSurvivesARoundTripAndReplacesTheOldOneWhole() throws {
        let folder = try TemporaryFolder()
        let tensors = ["w": Tensor([Float](repeating: 0.5, count: 6), shape: [2, 3]), "n": Tensor([Int64(-3)])]
        try SafetensorsFile.write(tensors, metadata: ["k": "v\n\u{1}"], to: folder("m.safetensors"))
        let file = try SafetensorsFile(path: folder("m.safetensors"))
        #expect(file.header.metadata == ["k": "v\n\u{1}"])
        let written = try #require(tensors["w"])
        #expect(try file.tensor("w").isIdentical(to: written))
        #expect(file.names == ["n", "w"])
        #expect(try FileSystem.list(folder.path) == ["m.safetensors"])
    }

    @Test func anUnknownNameIsSuggestedItsNeighbour() throws {
        let file = try SafetensorsFile(path: fixture("all-dtypes.safetensors"))
        let error = try #require(throws: MLOpsError.self) { try file.tensor("b.f31") }
        #expect(error.kind == .notFound)
        #expect(error.hint == "did you mean `a.f32`?" || error.hint == "did you mean `b.f32`?")
    }
}

@Suite struct HostileSafetensorsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func fault(header: String, data: Int = 4, length: UInt64? = nil) throws -> MLOpsError {
        let text = Array(header.utf8)
        let count = length ?? UInt64(text.count)
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * UInt64($0))) } + text
        let path = try folder.write("x.safetensors", bytes + [UInt8](repeating: 0, count: data))
        return try #require(throws: MLOpsError.self) { try SafetensorsFile(path: path) }
    }

    private static func tensor(_ name: String, _ dtype: String, _ shape: String, _ range: String) -> String {
        "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":\(range)}"
    }

    @Test(arguments: [
        ("{\(tensor("a", "F32", "[1]", "[0,4]")),\(tensor("a", "F32", "[1]", "[0,4]"))}", "names `a` twice"),
        ("{\(tensor("a", "U8", "[4]", "[0,4]")),\(tensor("b", "U8", "[2]", "[2,4]"))}", "overlaps"),
        ("{\(tensor("a", "U8", "[1]", "[0,1]")),\(tensor("b", "U8", "[2]", "[2,4]"))}", "leaves a gap"),
        ("{\(tensor("a", "U8", "[3]", "[0,3]"))}", "holds 4 bytes of data, its header names 3"),
        ("{\(tensor("a", "U8", "[8]", "[0,8]"))}", "holds 4 bytes of data, its header names 8"),
        ("{\(tensor("a", "F32", "[2]", "[0,4]"))}", "needs 8 bytes, its range has 4"),
        ("{\(tensor("a", "F32", "[4611686018427387904,4]", "[0,4]"))}", "overflows"),
        ("{\(tensor("a", "F32", "[99999999999999999999]", "[0,4]"))}", "a number overflows"),
        ("{\(tensor("a", "F32", "[-1]", "[0,4]"))}", "whole number of at least 0"),
        ("{\(tensor("a", "F32", "[1e1]", "[0,4]"))}", "expected `]`"),
        ("{\(tensor("a", "U8", "[4]", "[4,0]"))}", "ends at 0, before its start 4"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4]}}", "lacks one of"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":[1]}}", "unknown key `x`"),
        ("{\"__metadata__\":{\"k\":1}}", "expected `\"`"),
        ("{\"__metadata__\":{\"k\":\"\\ud800\"}}", "surrogate"),
        ("{} {}", "text after the closing brace"),
        ("{\"a", "never closed"),
        ("{", "expected `\"`"),
        (String(repeating: "{\"a\":", count: 100_000), "unknown key"),
    ])
    func aBrokenHeaderIsDamagedAndSaysHow(_ header: String, _ words: String) throws {
        let error = try fault(header: header)
        #expect(error.message.contains(words))
        #expect(error.kind == .damaged)
        #expect(error.message.contains(folder("x.safetensors")))
    }

    @Test func whatIsNotReadIsToldFromWhatIsBroken() throws {
        #expect(
            try fault(header: "{\(Self.tensor("a", "F33", "[1]", "[0,4]"))}").message.contains("unknown dtype `F33`"))
        #expect(try fault(header: "{\(Self.tensor("a", "F8_E4M3", "[4]", "[0,4]"))}").kind == .usage)
        #expect(try fault(header: "PK not json").message.contains("no safetensors file"))
        #expect(try fault(header: "{}", length: 1 << 40).message.contains("1099511627776 bytes"))
        #expect(try fault(header: "{}", length: .max).kind == .usage)
    }

    @Test func aTruncatedFileNamesTheByteCounts() throws {
        let whole = try FileSystem.read(fixture("all-dtypes.safetensors"))
        for count in [0, 7, 8, 100, whole.count - 1] {
            let path = try folder.write("cut.safetensors", Array(whole[..<count]))
            let error = try #require(throws: MLOpsError.self) { try SafetensorsFile(path: path) }
            #expect(error.kind == .damaged, "cut to \(count)")
            #expect(error.message.contains(path))
        }
        let error = try fault(header: "{}", data: 0, length: 600)
        #expect(error.message.contains("10 bytes, its header alone ends at byte 608"))
    }

    @Test func noFlippedByteOfAHeaderCrashes() throws {
        let whole = try FileSystem.read(fixture("all-dtypes.safetensors"))
        for position in stride(from: 0, to: 640, by: 3) {
            var bytes = whole
            bytes[position] ^= 0x15
            let path = try folder.write("flip.safetensors", bytes)
            _ = try? SafetensorsFile(path: path).tensors()
        }
    }
}
