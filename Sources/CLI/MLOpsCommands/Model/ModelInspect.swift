internal import ArgumentParser
internal import Basics
internal import Interchange
internal import TerminalOutput

struct ModelInspect: Verb {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show what is in a model file: layers, shapes, numbers, metadata",
        discussion: """
            The file is a model of this program, any other safetensors file, or an ONNX model; nothing in it is run. Shapes and
            operations are for one example. FLOPs count two for a multiplication with its addition.

            Examples:
              mlops model inspect model.safetensors
              mlops model inspect model.onnx --tensors
              mlops model inspect model.safetensors --json
            """)

    @Argument(help: ArgumentHelp("A `.safetensors` or `.onnx` file.", valueName: "file"))
    var file: String

    @Flag(help: "List the tensors of a model too.")
    var tensors = false

    @OptionGroup var global: GlobalOptions

    func perform(_ console: Console) async throws {
        let path = FileSystem.absolute(file, from: global.workingDirectory)
        var inspection = try ModelInspection(path: path)
        inspection.path = file
        try console.report(InspectionReport(inspection: inspection, listsTensors: tensors))
    }
}

struct InspectionReport: Encodable, TextRenderable {
    var inspection: ModelInspection
    var listsTensors: Bool

    func encode(to encoder: any Encoder) throws { try inspection.encode(to: encoder) }

    var essence: String { inspection.digest }

    func text(_ style: TextStyle) -> String {
        let showsTensors = listsTensors || inspection.layers.isEmpty
        let parts = [facts.text(style), layers.text(style), showsTensors ? tensors.text(style) : ""]
        return parts.filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private var kind: String {
        switch inspection.kind {
        case .model: "model of mlops"
        case .safetensors: "safetensors"
        case .onnx: "ONNX model"
        }
    }

    private var facts: FactList {
        var facts = FactList([("file", .init(inspection.path, .heading)), ("kind", .init(kind))])
        facts.add("size", .init(Format.bytes(inspection.byteCount)))
        facts.add("digest", .init(inspection.digest))
        facts.add("parameters", .init(Quantity.text(inspection.parameters)))
        let dtypes = inspection.dtypes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        facts.add("numbers", .init(dtypes.map { "\($0.key) \(Quantity.text($0.value))" }.joined(separator: ", ")))
        facts.add("multiply-adds", ifKnown: inspection.multiplyAdds.map(Quantity.text))
        facts.add("FLOPs", ifKnown: inspection.operations.map(Quantity.text))
        for (name, values) in [("input", inspection.inputs), ("output", inspection.outputs)] {
            for value in values {
                let shape = value.shape.map { " [\($0.joined(separator: ", "))]" } ?? ""
                facts.add(name, .init("\(value.name) \(value.dtype)\(shape)"))
            }
        }
        for (key, value) in inspection.metadata.sorted(by: { $0.key < $1.key }) {
            if key == "mlops", let object = value.object {
                for (key, value) in object.sorted(by: { $0.key < $1.key }) where key != "architecture" {
                    facts.add(key, .init(InspectionReport.short(value)))
                }
            } else {
                facts.add(key, .init(InspectionReport.short(value)))
            }
        }
        return facts
    }

    private static func short(_ value: JSONValue) -> String {
        let text = value.string ?? value.canonicalText
        return text.count > 200 ? "\(text.prefix(200))… (\(Format.bytes(Int64(text.utf8.count))))" : text
    }

    private var layers: Table {
        var table = Table([
            .init("layer"), .init("type"), .init("output"), .init("parameters", .right), .init("multiply-adds", .right),
        ])
        for layer in inspection.layers {
            let output = layer.output.map { "[\($0.joined(separator: ", "))]" } ?? "?"
            table.add(
                .init(layer.path), .init(layer.type), .init(output), .init(String(layer.parameters)),
                .init(layer.multiplyAdds.map(String.init) ?? "?"))
        }
        return table
    }

    private var tensors: Table {
        var table = Table([.init("tensor"), .init("dtype"), .init("shape"), .init("size", .right)])
        for tensor in inspection.tensors {
            let shape = "[\(tensor.shape.map(String.init).joined(separator: ", "))]"
            table.add(
                .init(tensor.name), .init(tensor.dtype), .init(shape), .init(Format.bytes(Int64(tensor.byteCount))))
        }
        return table
    }
}

/// A large count for people: `61706 (61.7 k)`.
enum Quantity {
    static func text(_ count: Int) -> String {
        let units: [(Double, String)] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        guard let (size, unit) = units.first(where: { Double(count) >= $0.0 }) else { return String(count) }
        return "\(count) (\(Format.number(Double(count) / size)) \(unit))"
    }
}
