internal import Basics
package import TensorFiles

/// A dataset folder: its description and, on demand, its splits.
package struct DatasetFolder: Sendable {
    package let path: String
    package let description: DatasetDescription

    /// Reads `dataset.json` of the folder at `path`; the data stay on disk.
    package init(_ path: String) throws {
        self.path = path
        description = try DatasetDescription(folder: path)
    }

    /// A folder whose description lies elsewhere; it must have been checked.
    package init(_ path: String, description: DatasetDescription) {
        self.path = path
        self.description = description
    }

    /// The table of a tabular split.
    package func table(_ split: String) throws -> TabularTable {
        let files = try files(of: split).files ?? []
        return try TabularTable(files: files.map { FileSystem.join(path, $0) }, description: description)
    }

    /// The pictures of a split, `[count, height, width]`, and their labels.
    ///
    /// - Throws: kind `.damaged` if the counts of pictures and labels differ.
    package func images(_ split: String) throws -> (pixels: RawArray, labels: [Int]) {
        let files = try files(of: split)
        let imagesPath = FileSystem.join(path, files.images ?? "")
        let labelsPath = FileSystem.join(path, files.labels ?? "")
        let pixels = try ArrayFile.read(imagesPath)
        let labels = try ArrayFile.read(labelsPath)
        guard pixels.shape.count == 3, pixels.shape.allSatisfy({ $0 > 0 }) else {
            throw MLOpsError(
                .usage, "`\(imagesPath)` has shape \(pixels.shape), expected [count, height, width]")
        }
        guard labels.shape.count == 1 else {
            throw MLOpsError(.usage, "`\(labelsPath)` has shape \(labels.shape), expected [count]")
        }
        guard labels.shape[0] == pixels.shape[0] else {
            throw MLOpsError(
                .damaged,
                "`\(imagesPath)` holds \(pixels.shape[0]) pictures, `\(labelsPath)` \(labels.shape[0]) labels",
                hint: "fetch the two files again, of the same split")
        }
        return (pixels, try labels.integers(source: labelsPath).map { Int($0) })
    }

    private func files(of split: String) throws -> DatasetDescription.Split {
        guard let files = description.splits[split] else {
            let known = description.splits.keys.sorted()
            throw MLOpsError(
                .notFound, "dataset `\(path)` has no split `\(split)`",
                hint: nearestName(to: split, among: known).map { "did you mean `\($0)`?" }
                    ?? "it has \(known.joined(separator: ", "))")
        }
        return files
    }
}

/// How raw examples of a dataset become a network's input: fitted on the training split, stored in the model file.
package enum InputEncoding: Codable, Hashable, Sendable {
    case tabular(TabularEncoder)
    /// `shape` is `[channels, height, width]`.
    case images(shape: [Int], normalisation: PixelNormalisation)

    /// The shape of one encoded example.
    package var shape: [Int] {
        switch self {
        case .tabular(let encoder): [encoder.width]
        case .images(let shape, _): shape
        }
    }

    private enum CodingKeys: String, CodingKey { case kind, encoder, shape, normalisation }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        switch try values.decode(DatasetDescription.Kind.self, forKey: .kind) {
        case .tabular: self = .tabular(try values.decode(TabularEncoder.self, forKey: .encoder))
        case .images:
            self = .images(
                shape: try values.decode([Int].self, forKey: .shape),
                normalisation: try values.decode(PixelNormalisation.self, forKey: .normalisation))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .tabular(let tabular):
            try values.encode(DatasetDescription.Kind.tabular, forKey: .kind)
            try values.encode(tabular, forKey: .encoder)
        case .images(let shape, let normalisation):
            try values.encode(DatasetDescription.Kind.images, forKey: .kind)
            try values.encode(shape, forKey: .shape)
            try values.encode(normalisation, forKey: .normalisation)
        }
    }
}

/// What a model needs to know of a dataset: the encoding and the classes.
package struct DatasetEncoding: Codable, Hashable, Sendable {
    package var input: InputEncoding
    /// In the order of the network's outputs.
    package var classes: [String]
    /// One of `classes`, for binary problems: the last of them unless the dataset lists its classes in another order.
    package var positiveClass: String?

    package init(input: InputEncoding, classes: [String], positiveClass: String? = nil) {
        self.input = input
        self.classes = classes
        self.positiveClass = positiveClass
    }

    private enum CodingKeys: String, CodingKey {
        case input, classes
        case positiveClass = "positive_class"
    }

    /// Fits to a dataset's training split and gives that split, encoded.
    package static func fitting(_ dataset: DatasetFolder) throws -> (encoding: DatasetEncoding, training: ExampleSet) {
        let description = dataset.description
        switch description.kind {
        case .tabular:
            let table = try dataset.table("train")
            let encoder = try TabularEncoder(
                fitting: table, columns: description.featureColumns, missing: description.missing)
            let encoding = DatasetEncoding(
                input: .tabular(encoder), classes: try classes(description, labels: table.labels),
                positiveClass: description.label?.positive)
            return (encoding, try encoding.examples(table, description: description, source: "train"))
        case .images:
            let (pixels, labels) = try dataset.images("train")
            let normalisation = PixelNormalisation(fitting: pixels.bytes)
            let names = description.classes ?? (0...(labels.max() ?? 0)).map(String.init)
            let encoding = DatasetEncoding(
                input: .images(shape: [1] + pixels.shape.dropFirst(), normalisation: normalisation), classes: names)
            return (encoding, try encoding.examples(pixels, labels: labels, source: "train"))
        }
    }

    /// Another split of the same dataset, or of one with the same columns.
    ///
    /// - Throws: kind `.usage` if the split has a label that is none of the classes, or examples of another shape.
    package func examples(of dataset: DatasetFolder, split: String) throws -> ExampleSet {
        switch (dataset.description.kind, input) {
        case (.tabular, .tabular):
            return try examples(try dataset.table(split), description: dataset.description, source: split)
        case (.images, .images):
            let (pixels, labels) = try dataset.images(split)
            return try examples(pixels, labels: labels, source: split)
        default:
            throw MLOpsError(
                .usage, "dataset `\(dataset.path)` is of kind `\(dataset.description.kind.rawValue)`, the model is not",
                hint: "give the dataset that the model was trained on, or a newer version of it")
        }
    }

    private func examples(
        _ table: TabularTable, description: DatasetDescription, source: String
    ) throws -> ExampleSet {
        guard case .tabular(let encoder) = input else { preconditionFailure("a table needs a tabular encoding") }
        let numbers = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        let labels = try table.labels.map { label in
            guard let number = numbers[label] else {
                throw MLOpsError(
                    .usage, "split `\(source)` has label `\(printable(label))`, which is none of the classes",
                    hint: "the classes are \(classes.joined(separator: ", ")); `label.strip_suffix` may be missing")
            }
            return number
        }
        var groups: [String: [String]] = [:]
        for name in description.sensitive ?? [] {
            guard let column = table.columns[name] else { continue }
            groups[name] = (0..<table.count).map { column.text($0) ?? "?" }
        }
        return ExampleSet(
            shape: [encoder.width], features: .floats(try encoder.encode(table)), labels: labels, groups: groups)
    }

    private func examples(_ pixels: RawArray, labels: [Int], source: String) throws -> ExampleSet {
        guard case .images(let shape, let normalisation) = input else {
            preconditionFailure("pictures need an image encoding")
        }
        guard [1] + pixels.shape.dropFirst() == shape else {
            throw MLOpsError(
                .usage, "pictures of split `\(source)` are \(pixels.shape.dropFirst()), the model expects \(shape)")
        }
        if let label = labels.first(where: { $0 >= classes.count }) {
            throw MLOpsError(
                .usage, "split `\(source)` has label \(label), but there are \(classes.count) classes",
                hint: "list all classes in `\(DatasetDescription.fileName)`")
        }
        return ExampleSet(
            shape: shape, features: .pixels(pixels.bytes, normalisation: normalisation), labels: labels)
    }

    private static func classes(_ description: DatasetDescription, labels: [String]) throws -> [String] {
        let found = Set(labels)
        let positive = description.label?.positive
        if let positive, !found.contains(positive) {
            throw MLOpsError(
                .usage, "positive class `\(positive)` is no label of the training split",
                hint: nearestName(to: positive, among: found).map { "did you mean `\($0)`?" })
        }
        if let listed = description.classes { return listed }
        let sorted = found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard sorted.count == 2, let positive else { return sorted }
        return sorted.filter { $0 != positive } + [positive]
    }
}
