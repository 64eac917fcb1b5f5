internal import Basics

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
        let files = try files(of: split)
        if let features = files.features {
            return try TabularTable(
                features: FileSystem.join(path, features), labels: FileSystem.join(path, files.labels ?? ""),
                description: description)
        }
        return try TabularTable(
            files: (files.files ?? []).map { FileSystem.join(path, $0) }, description: description)
    }

    /// The pictures of a split and their labels.
    ///
    /// - Parameters:
    ///   - shape: `[channels, height, width]` that pictures of a folder are brought to; nil lets the description or the first
    ///     picture decide.
    ///   - classes: the names that folders may have; nil takes those of the description, or all.
    /// - Throws: kind `.damaged` if the counts of pictures and labels differ; what the readers throw.
    package func pictures(_ split: String, shape: [Int]? = nil, classes: [String]? = nil) throws -> PictureSplit {
        let files = try files(of: split)
        if let name = files.folder {
            let folder = try PictureFolder(FileSystem.join(path, name), classes: classes ?? description.classes)
            let (shape, pixels) = try folder.read(
                channels: shape?[0] ?? description.channels, size: shape.map { Array($0[1...]) } ?? description.size)
            return PictureSplit(
                shape: shape, values: .bytes(pixels), labels: folder.labels, classes: folder.classes)
        }
        return try PictureArrays.read(
            images: FileSystem.join(path, files.images ?? ""), labels: FileSystem.join(path, files.labels ?? ""),
            layout: description.layout)
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
            let shape = try values.decode([Int].self, forKey: .shape)
            let normalisation = try values.decode(PixelNormalisation.self, forKey: .normalisation)
            guard shape.count == 3, shape.allSatisfy({ $0 > 0 }) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .shape, in: values, debugDescription: "\(shape) is not [channels, height, width]")
            }
            guard [1, shape[0]].contains(normalisation.means.count) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .normalisation, in: values,
                    debugDescription: "\(normalisation.means.count) means for \(shape[0]) channels")
            }
            self = .images(shape: shape, normalisation: normalisation)
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
            let columns =
                description.columns == nil ? TabularTable.arrayColumns(table.columns.count) : description.featureColumns
            let encoder = try TabularEncoder(fitting: table, columns: columns, missing: description.missing)
            let encoding = DatasetEncoding(
                input: .tabular(encoder), classes: try classes(description, labels: table.labels),
                positiveClass: description.label?.positive)
            return (encoding, try encoding.examples(table, description: description, source: "train"))
        case .images:
            let pictures = try dataset.pictures("train")
            let plane = pictures.shape[1] * pictures.shape[2]
            let normalisation =
                switch pictures.values {
                case .bytes(let bytes):
                    PixelNormalisation(fitting: bytes, channels: pictures.shape[0], plane: plane)
                case .floats(let floats):
                    PixelNormalisation(fitting: floats, channels: pictures.shape[0], plane: plane)
                }
            let names =
                pictures.classes ?? description.classes ?? (0...(pictures.labels.max() ?? 0)).map(String.init)
            let encoding = DatasetEncoding(
                input: .images(shape: pictures.shape, normalisation: normalisation), classes: names)
            return (encoding, try encoding.examples(pictures, source: "train"))
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
            return try examples(
                try dataset.pictures(split, shape: input.shape, classes: classes), source: split)
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

    private func examples(_ pictures: PictureSplit, source: String) throws -> ExampleSet {
        guard case .images(let shape, let normalisation) = input else {
            preconditionFailure("pictures need an image encoding")
        }
        guard pictures.shape == shape else {
            throw MLOpsError(
                .usage, "pictures of split `\(source)` are \(pictures.shape), the model expects \(shape)")
        }
        if let index = pictures.labels.firstIndex(where: { $0 >= classes.count }) {
            throw MLOpsError(
                .usage,
                "split `\(source)` has label \(pictures.labels[index]) at \(index), but there are \(classes.count) classes",
                hint: "list all classes in `\(DatasetDescription.fileName)`")
        }
        switch pictures.values {
        case .bytes(let bytes):
            return ExampleSet(
                shape: shape, features: .pixels(bytes, normalisation: normalisation), labels: pictures.labels)
        case .floats(var floats):
            normalisation.normalise(&floats, shape: shape)
            return ExampleSet(shape: shape, features: .floats(floats), labels: pictures.labels)
        }
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
