import Basics
import TestSupport
import Testing

/// `mlops model` on the models of the fixtures.
@Suite struct ModelTests {
    private let folder: TemporaryFolder
    private static let fixtures = FileSystem.absolute("\(#filePath)/../../../Fixtures/interchange")

    init() throws {
        folder = try TemporaryFolder()
        for name in ["small.safetensors", "small.onnx"] {
            try folder.write(name, try FileSystem.read(FileSystem.join(Self.fixtures, name)))
        }
    }

    private func mlops(_ arguments: String...) throws -> ProgramResult {
        try Program.mlops(["model"] + arguments, in: folder.path)
    }

    @Test func inspectShowsLayersAndTensors() throws {
        let text = try mlops("inspect", "small.safetensors")
        try text.expectSuccess()
        for words in ["model of mlops", "multiply-adds", "7.branch.0", "concatenate", "411", "[batch, 3]"] {
            #expect(text.output.contains(words), "\(words) in \(text.output)")
        }
        let json = try JSONValue(
            parsing: Array(try mlops("inspect", "small.onnx", "--json").output.utf8), source: "stdout")
        #expect(json["kind"] == "onnx" && json["layers"]?.array?.isEmpty == false && json["multiply_adds"] == 338)
        #expect(try mlops("inspect", "small.onnx", "--tensors").output.contains("0.weight"))
    }

    @Test func convertWritesWhatTheFixtureHolds() throws {
        let report = try mlops("convert", "small.safetensors", "--to", "onnx", "--out", "new.onnx", "--json")
        try report.expectSuccess()
        let inspected = try JSONValue(
            parsing: Array(try mlops("inspect", "new.onnx", "--json").output.utf8), source: "stdout")
        let digest = Digest.of(try folder.read("small.safetensors")).description
        #expect(inspected["metadata"]?["mlops.model_digest"] == .string(digest))
        #expect(inspected["inputs"]?.array?.count == 5)
        try mlops("convert", "small.safetensors", "--to", "bf16", "--out", "b.safetensors").expectSuccess()
        try mlops("bench", "b.safetensors", "--seconds", "0.001", "--runs", "2", "--layers", "--batch", "1,3")
            .expectSuccess()
    }

    @Test func wrongCallsSayWhatIsWrong() throws {
        let missing = try mlops("inspect", "none.onnx")
        #expect(missing.exitCode == 1 && missing.error.contains("none.onnx"))
        let target = try mlops("convert", "small.safetensors", "--to", "tflite", "--out", "x")
        #expect(target.exitCode == 64 && target.error.contains("tflite"))
        let batch = try mlops("bench", "small.safetensors", "--batch", "1,many")
        #expect(batch.exitCode == 64 && batch.error.contains("`many`"))
        let onnx = try mlops("bench", "small.onnx")
        #expect(onnx.exitCode == 64)
        try folder.write("cut.safetensors", Array(try folder.read("small.safetensors").prefix(900)))
        #expect(try mlops("inspect", "cut.safetensors").exitCode == 12)
    }
}
