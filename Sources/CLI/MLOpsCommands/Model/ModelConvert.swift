internal import ArgumentParser
internal import Basics
internal import Inference
internal import TerminalOutput

struct ModelConvert: Verb {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Write a model in another format",
        discussion: """
            onnx         an ONNX model with the encoding of the inputs in it, from a model of mlops
            safetensors  the weights alone by PyTorch's names, from a model of mlops or an ONNX model
            model        a model of mlops: weights for the layers, classes and encoding of another one
            f32 f16 bf16 the same safetensors file, its floats stored so

            Examples:
              mlops model convert model.safetensors --to onnx --out model.onnx
              mlops model convert model.safetensors --to safetensors --out weights.safetensors
              mlops model convert weights.safetensors --to model --like model.safetensors --out new.safetensors
              mlops model convert model.safetensors --to bf16 --out small.safetensors
            """)

    @Argument(help: ArgumentHelp("A `.safetensors` or `.onnx` file.", valueName: "file"))
    var file: String

    @Option(help: "onnx, safetensors, model, f32, f16 or bf16.")
    var to: ModelConversion.Target

    @Option(name: [.customLong("out"), .short], help: ArgumentHelp("The file to write.", valueName: "file"))
    var out: String

    @Option(help: "What an ONNX model takes: raw examples, or the encoded numbers that the network sees.")
    var input: ONNXInputForm = .raw

    @Option(help: ArgumentHelp("The model whose layers and classes `--to model` takes over.", valueName: "file"))
    var like: String?

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        guard like == nil || to == .model else {
            throw MLOpsError(.usage, "`--like` is for `--to model` alone", hint: "leave it out")
        }
        func absolute(_ path: String) -> String { FileSystem.absolute(path, from: global.workingDirectory) }
        let conversion = ModelConversion(to: to, input: input, like: like.map(absolute))
        try console.report(
            ConversionReport(report: try conversion.run(absolute(file), output: absolute(out)), shown: out))
    }
}

extension ModelConversion.Target: ExpressibleByArgument {}
extension ONNXInputForm: ExpressibleByArgument {}

struct ConversionReport: Encodable, TextRenderable {
    var report: ModelConversion.Report
    /// The output as the user named it.
    var shown: String

    func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }

    var essence: String { report.digest }

    func text(_ style: TextStyle) -> String {
        var facts = FactList([("written", .init(shown, .good)), ("format", .init(report.target))])
        let sizes = "\(Format.bytes(report.byteCount)), was \(Format.bytes(report.sourceByteCount))"
        facts.add("size", .init("\(sizes), \(Format.count(report.tensors, "tensor"))"))
        if report.largestError > 0 { facts.add("largest error", .init(Format.number(report.largestError))) }
        facts.add("digest", .init(report.digest))
        return facts.text(style)
    }
}
