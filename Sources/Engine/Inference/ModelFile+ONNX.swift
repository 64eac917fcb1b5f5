package import Basics
internal import Datasets
package import Interchange

/// What an exported ONNX model takes.
package enum ONNXInputForm: String, CaseIterable, Sendable {
    /// Pixels 0...255, or one input per column of a table: the encoding is part of the graph.
    case raw
    /// The numbers that the network sees.
    case encoded
}

extension ModelFile {
    /// The model as the bytes of an ONNX file.
    ///
    /// - Parameter digest: of the model file; it goes into the metadata.
    /// - Throws: what `ONNXExport` throws; kind `.damaged` if the description of the input cannot be read.
    package func onnx(_ form: ONNXInputForm, path: String, digest: Digest? = nil) throws -> [UInt8] {
        var metadata = ["mlops.input": form.rawValue]
        metadata["mlops.model_digest"] = digest?.description
        let encoding: InputEncoding
        do {
            encoding = try description.input.decode()
        } catch let error as DecodingError {
            throw MLOpsError(
                .damaged, "model `\(path)`: the description of its input cannot be read: \(describe(error))",
                hint: "train or fetch the model again", cause: error)
        }
        let input = form == .raw ? encoding.onnxInput : .encoded
        return try ONNXExport(self, path: path, input: input, metadata: metadata).encode()
    }
}

extension InputEncoding {
    fileprivate var onnxInput: ONNXExport.Input {
        switch self {
        case .images(_, let normalisation):
            .pixels(mean: normalisation.means, deviation: normalisation.deviations)
        case .tabular(let encoder): .columns(encoder.fields.map { $0.onnxColumn(missing: encoder.missing) })
        }
    }
}

extension TabularEncoder.Field {
    fileprivate func onnxColumn(missing: String?) -> ONNXExport.Column {
        guard let categories else {
            return .init(name: name, kind: .number(mean: mean ?? 0, deviation: deviation ?? 1))
        }
        // A text that stands for a missing value is never a category, even if the list names it.
        let marks = missing.map { ["", $0] } ?? [""]
        var places = categories.enumerated().filter { !marks.contains($1) }.map { (text: $1, place: $0) }
        if hasMissingCategory == true { places += Set(marks).sorted().map { ($0, categories.count) } }
        return .init(name: name, kind: .text(places: places, width: width))
    }
}
