import Basics
import Datasets
import Foundation
import Inference
import Interchange
import TensorFiles
import TestSupport
import Tensors
import Testing

/// Inspection and conversion. `RECORD_SNAPSHOTS=1` rewrites `small.safetensors` and `small.onnx` of the fixtures.
@Suite struct ModelFilesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static func fixture(_ name: String) -> String {
        FileSystem.absolute("\(#filePath)/../../../Fixtures/interchange/\(name)")
    }

    private func small() throws -> ModelFile {
        let architecture = ExampleModel.architectures[0].1
        return try ExampleModel.make(architecture, input: .tabular(ExampleModel.encoder()), classes: 3)
    }

    @Test func anExportIsByteForByteAsItWas() throws {
        let (model, onnx) = (Self.fixture("small.safetensors"), Self.fixture("small.onnx"))
        if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
            try small().write(to: model)
            try FileSystem.replace(onnx, with: try ModelFile(path: model).onnx(.raw, path: model))
        }
        #expect(
            try ModelFile(path: model).onnx(.raw, path: model) == FileSystem.read(onnx),
            "RECORD_SNAPSHOTS=1 rewrites it")
    }

    @Test func aModelIsInspectedLayerByLayer() throws {
        let found = try ModelInspection(path: Self.fixture("small.safetensors"))
        #expect(found.kind == .model)
        #expect(found.digest == Digest.of(try FileSystem.read(Self.fixture("small.safetensors"))).description)
        #expect(found.layers.prefix(3).map(\.type) == ["linear", "batch_norm", "sigmoid"])
        #expect(found.layers.contains { $0.path == "7.branch.0" && $0.type == "linear" && $0.output == ["4"] })
        #expect(found.layers.contains { $0.path == "8" && $0.type == "add" })
        // 9·8 + 8·2 + 8·2 + 8·2 + (8·4 + 4) + (12·12 + 12) + (12·6 + 6) + (6·3 + 3)
        #expect(found.parameters == 411)
        #expect(found.multiplyAdds == 72 + 32 + 144 + 72 + 18)
        #expect(found.outputs.first?.shape == ["batch", "3"])
        #expect(found.metadata["mlops"]?["recipe"] == "test")
    }

    @Test func anONNXModelIsInspectedNodeByNode() throws {
        let found = try ModelInspection(path: Self.fixture("small.onnx"))
        #expect(found.kind == .onnx && found.metadata["opset.ai.onnx"] == 17 && found.metadata["ir_version"] == 8)
        #expect(found.inputs.map(\.name) == ["age", "weight", "work", "gain", "sex"])
        #expect(found.inputs.map(\.dtype) == ["float", "float", "string", "float", "string"])
        #expect(found.multiplyAdds == 72 + 32 + 144 + 72 + 18)
        let gemm = try #require(found.layers.first { $0.path == "0.linear" })
        #expect(gemm.type == "Gemm" && gemm.output == ["8"] && gemm.parameters == 72 && gemm.multiplyAdds == 72)
        #expect(found.tensors.contains { $0.name == "0.weight" && $0.shape == [8, 9] && $0.byteCount == 288 })
    }

    @Test func aSafetensorsFileOfAnyoneIsInspectedInEveryDtype() throws {
        let header =
            "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2],\"data_offsets\":[0,4]},\"__metadata__\":{\"format\":\"pt\"}}"
        let length: [UInt8] = [UInt8(header.utf8.count)] + [UInt8](repeating: 0, count: 7)
        let path = try folder.write("a.safetensors", length + header.utf8 + [1, 2, 3, 4])
        let found = try ModelInspection(path: path)
        #expect(found.kind == .safetensors && found.parameters == 4 && found.dtypes == ["F8_E4M3": 4])
        #expect(found.metadata == ["format": "pt"])
        #expect(throws: MLOpsError.self) { try SafetensorsFile(path: path) }
        try folder.write("b.bin", "neither")
        let error = try #require(throws: MLOpsError.self) { try ModelInspection(path: folder("b.bin")) }
        #expect(error.kind == .usage && error.message.contains("is no ONNX model"))
    }

    @Test func weightsGoToPlainFilesAndBack() throws {
        let model = try small()
        try model.write(to: folder("m.safetensors"))
        _ = try ModelConversion(to: .safetensors).run(folder("m.safetensors"), output: folder("plain.safetensors"))
        let plain = try SafetensorsFile(path: folder("plain.safetensors"))
        #expect(plain.header.metadata.isEmpty && plain.names.contains("7.branch.0.weight"))
        var other = model
        other.tensors = other.tensors.mapValues { $0.dtype == .f32 ? .ones($0.shape) : $0 }
        try other.write(to: folder("other.safetensors"))
        let back = ModelConversion(to: .model, like: folder("other.safetensors"))
        _ = try back.run(folder("plain.safetensors"), output: folder("back.safetensors"))
        #expect(try folder.read("back.safetensors") == folder.read("m.safetensors"))
        // The same through ONNX, whose graph has other constants too.
        _ = try ModelConversion(to: .onnx).run(folder("m.safetensors"), output: folder("m.onnx"))
        _ = try back.run(folder("m.onnx"), output: folder("back.safetensors"))
        #expect(try folder.read("back.safetensors") == folder.read("m.safetensors"))
    }

    @Test func anONNXModelIsNotRun() throws {
        try FileSystem.replace(folder("m.onnx"), with: FileSystem.read(Self.fixture("small.onnx")))
        let error = try #require(throws: MLOpsError.self) { try Predictor(path: folder("m.onnx")) }
        #expect(error.kind == .usage && error.message.contains("is an ONNX model"))
        #expect(error.hint?.contains("safetensors") == true)
    }

    @Test func weightsThatDoNotFitAreNamedAtOnce() throws {
        let model = try small()
        try model.write(to: folder("m.safetensors"))
        try SafetensorsFile.write(["0.weight": .zeros([1]), "x": .zeros([1])], to: folder("w.safetensors"))
        let conversion = ModelConversion(to: .model, like: folder("m.safetensors"))
        let error = try #require(throws: MLOpsError.self) {
            try conversion.run(folder("w.safetensors"), output: folder("o.safetensors"))
        }
        #expect(error.message.contains("`0.weight` is [1], expected [8, 9]"))
        #expect(error.message.contains("`1.bias` is missing") && error.message.contains("`x` is too many"))
        #expect(!FileSystem.exists(folder("o.safetensors")))
        let bare = try #require(throws: MLOpsError.self) {
            try ModelConversion(to: .model).run(folder("w.safetensors"), output: folder("o.safetensors"))
        }
        #expect(bare.hint?.contains("--like") == true)
    }

    @Test func halvedFilesAreSmallerAndGiveNearlyTheSameAnswers() throws {
        var model = try small()
        try model.write(to: folder("m.safetensors"))
        let features = [Float](repeating: 0.5, count: 9)
        let expected = try Predictor(path: folder("m.safetensors")).predict(features: features, count: 1).probabilities
        for (target, tolerance) in [(ModelConversion.Target.f16, Float(0.002)), (.bf16, 0.02)] {
            let report = try ModelConversion(to: target).run(
                folder("m.safetensors"), output: folder("half.safetensors"))
            #expect(report.byteCount < report.sourceByteCount && report.largestError > 0)
            #expect(
                try SafetensorsFile(path: folder("half.safetensors")).header.entries.contains {
                    $0.name == "0.weight" && $0.dtype == target.rawValue.uppercased()
                })
            let found = try Predictor(path: folder("half.safetensors")).predict(features: features, count: 1)
            for (left, right) in zip(found.probabilities, expected) { #expect(abs(left - right) < tolerance) }
            _ = try ModelConversion(to: .f32).run(folder("half.safetensors"), output: folder("wide.safetensors"))
            _ = try ModelConversion(to: target).run(folder("wide.safetensors"), output: folder("again.safetensors"))
            #expect(try folder.read("again.safetensors") == folder.read("half.safetensors"))
        }
        model.tensors["0.weight"] = .full(70000, [8, 9])
        try model.write(to: folder("large.safetensors"))
        let error = try #require(throws: MLOpsError.self) {
            try ModelConversion(to: .f16).run(folder("large.safetensors"), output: folder("half.safetensors"))
        }
        #expect(error.kind == .usage && error.message.contains("`0.weight`") && error.hint == "convert to bf16")
        _ = try ModelConversion(to: .bf16).run(folder("large.safetensors"), output: folder("half.safetensors"))
    }
}

@Suite struct HostileONNXTests {
    private let folder: TemporaryFolder
    private let whole: [UInt8]

    init() throws {
        folder = try TemporaryFolder()
        whole = try FileSystem.read(FileSystem.absolute("\(#filePath)/../../../Fixtures/interchange/small.onnx"))
    }

    @Test func aTruncatedFileIsRefusedWithItsPlace() throws {
        for count in stride(from: 0, to: whole.count, by: 7) {
            let path = try folder.write("cut.onnx", Array(whole[..<count]))
            // A cut between the fields of the model leaves a smaller, whole one.
            do { _ = try ModelInspection(path: path) } catch let error as MLOpsError {
                #expect([.damaged, .usage].contains(error.kind) && error.message.contains(path), "cut to \(count)")
            }
        }
    }

    @Test func noFlippedByteCrashes() throws {
        for position in stride(from: 0, to: whole.count, by: 3) {
            for mask in [UInt8(0x01), 0x80, 0xFF] {
                var bytes = whole
                bytes[position] ^= mask
                let path = try folder.write("flip.onnx", bytes)
                guard let file = try? ONNXFile(path: path) else { continue }
                for weight in file.weights { _ = try? file.tensor(weight) }
                _ = try? ModelInspection(path: path)
            }
        }
    }

    /// A message's field `number` with `bytes`.
    private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = bytes.count
        repeat {
            length.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return [number << 3 | 2] + length + bytes
    }

    @Test func whatIsTooDeepTooLargeOrOfNoSenseIsDamaged() throws {
        func fault(_ graph: [UInt8]) throws -> MLOpsError {
            let path = try folder.write("x.onnx", [8, 8] + field(7, graph))
            return try #require(throws: MLOpsError.self) { try ONNXFile(path: path) }
        }
        var deep: [UInt8] = []
        for _ in 0..<100 { deep = field(1, field(5, field(6, deep))) }
        #expect(try fault(deep).message.contains("more than 16 deep"))
        let huge: [UInt8] = [8, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]
        #expect(try fault(field(5, huge)).message.contains("cannot have shape"))
        #expect(
            try fault(field(5, [8] + [UInt8](repeating: 0xFF, count: 9) + [1])).message.contains(
                "cannot have shape [-1]"))
        #expect(try fault(field(5, [8] + [UInt8](repeating: 0xFF, count: 11))).message.contains("more than 10 bytes"))
        #expect(
            try fault(field(5, [UInt8](repeating: 0, count: 4)))
                .message.contains("field number 0 is impossible"))
        #expect(try fault(field(1, [0x0A, 0x05, 0x41])).message.contains("its message ends after 1"))
        #expect(try fault(field(1, field(1, [0xFF, 0xFE]))).message.contains("not UTF-8"))
        #expect(try fault(field(1, [0x0B])).message.contains("wire type 3"))
        let many = [[UInt8]](repeating: [8, 1], count: 70).flatMap { $0 }
        #expect(try fault(field(5, many)).message.contains("more than 64 numbers"))
    }
}
