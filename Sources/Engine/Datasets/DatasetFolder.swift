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

/// How raw examples of a dataset become a network's input: fitted on the examples that are learnt from, stored in the model file.
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

    /// Fits to examples of a dataset's training split and gives that whole split, encoded.
    ///
    /// - Parameter choose: the numbers of the examples that are fitted to, given the labels of all; nil means all. What is held out
    ///   must not be among them: it would have a say in how it is seen. Only the classes come from the whole split.
    package static func fitting(
        _ dataset: DatasetFolder, to choose: (_ labels: [Int]) throws -> [Int]? = { _ in nil }
    ) throws -> (encoding: DatasetEncoding, training: ExampleSet) {
        switch dataset.description.kind {
        case .tabular: try fittingTable(dataset, choose)
        case .images: try fittingPictures(dataset, choose)
        }
    }

    private static func fittingTable(
        _ dataset: DatasetFolder, _ choose: ([Int]) throws -> [Int]?
    ) throws -> (encoding: DatasetEncoding, training: ExampleSet) {
        let description = dataset.description
        let table = try dataset.table("train")
        let columns =
            description.columns == nil ? TabularTable.arrayColumns(table.columns.count) : description.featureColumns
        let classes = try classes(description, labels: table.labels)
        let chosen = try choose(try numbers(of: table.labels, in: classes, source: "train"))
        let encoder = try TabularEncoder(
            fitting: chosen.map(table.rows) ?? table, columns: columns, missing: description.missing)
        let encoding = DatasetEncoding(
            input: .tabular(encoder), classes: classes, positiveClass: description.label?.positive)
        return (encoding, try encoding.examples(table, description: description, source: "train"))
    }

    private static func fittingPictures(
        _ dataset: DatasetFolder, _ choose: ([Int]) throws -> [Int]?
    ) throws -> (encoding: DatasetEncoding, training: ExampleSet) {
        let pictures = try dataset.pictures("train")
        let chosen = try choose(pictures.labels)
        let normalisation =
            switch pictures.values {
            case .bytes(let bytes): PixelNormalisation(fitting: bytes, shape: pictures.shape, pictures: chosen)
            case .floats(let floats): PixelNormalisation(fitting: floats, shape: pictures.shape, pictures: chosen)
            }
        let names =
            pictures.classes ?? dataset.description.classes ?? (0...(pictures.labels.max() ?? 0)).map(String.init)
        let encoding = DatasetEncoding(
            input: .images(shape: pictures.shape, normalisation: normalisation), classes: names)
        return (encoding, try encoding.examples(pictures, source: "train"))
    }

    /// Labels as places in `classes`.
    private static func numbers(of labels: [String], in classes: [String], source: String) throws -> [Int] {
        let places = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        return try labels.map { label in
            guard let number = places[label] else {
                throw MLOpsError(
                    .usage, "split `\(source)` has label `\(printable(label))`, which is none of the classes",
                    hint: "the classes are \(classes.joined(separator: ", ")); `label.strip_suffix` may be missing")
            }
            return number
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
        let labels = try DatasetEncoding.numbers(of: table.labels, in: classes, source: source)
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
