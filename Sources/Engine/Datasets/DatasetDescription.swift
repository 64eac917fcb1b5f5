internal import Basics
internal import TensorFiles

/// What a dataset folder says of itself in its `dataset.json` (Documentation/formats/dataset-folder.md).
package struct DatasetDescription: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Sendable, CaseIterable { case tabular, images }

    /// One split's files, relative to the folder.
    package struct Split: Codable, Hashable, Sendable {
        /// Tabular: CSV files read one after the other.
        package var files: [String]?
        /// Images: a file of an array of pictures and one of their labels (`ArrayFile`), or a folder of pictures by class.
        package var images: String?
        package var labels: String?
        package var folder: String?
        /// Tabular: a file of an array of numbers, `[count, columns]`, with `labels`.
        package var features: String?

        package init(files: [String]) { self.files = files }

        package init(folder: String) { self.folder = folder }

        package init(features: String, labels: String) {
            self.features = features
            self.labels = labels
        }

        package init(images: String, labels: String) {
            self.images = images
            self.labels = labels
        }

        /// All files and folders that are named, without the names of arrays in them.
        package var paths: [String] {
            (files ?? []) + [images, labels, features].compactMap { $0.map(ArrayFile.file) }
                + [folder].compactMap(\.self)
        }

        /// Whether it names what `kind` needs, in one way.
        fileprivate func isComplete(_ kind: Kind) -> Bool {
            let hasFiles = !(files ?? []).isEmpty
            switch kind {
            case .tabular:
                return images == nil && folder == nil
                    && (hasFiles ? features == nil && labels == nil : features != nil && labels != nil)
            case .images:
                return !hasFiles && features == nil
                    && (folder != nil ? images == nil && labels == nil : images != nil && labels != nil)
            }
        }
    }

    package struct Column: Codable, Hashable, Sendable {
        package enum Role: String, Codable, Sendable, CaseIterable { case numeric, categorical, ignored }

        package var name: String
        package var type: Role

        package init(name: String, type: Role) {
            self.name = name
            self.type = type
        }
    }

    package struct Label: Codable, Hashable, Sendable {
        package var column: String
        /// The class whose probability is the score of a binary classifier.
        package var positive: String?
        /// Cut off the end of each label, such as the dot of `adult.test`.
        package var stripSuffix: String?

        package init(column: String, positive: String? = nil, stripSuffix: String? = nil) {
            self.column = column
            self.positive = positive
            self.stripSuffix = stripSuffix
        }

        private enum CodingKeys: String, CodingKey {
            case column, positive
            case stripSuffix = "strip_suffix"
        }
    }

    package var format = 1
    package var kind: Kind
    package var name: String
    package var source: String?
    package var licence: String?
    /// By name; `train` and `test` are what the recipes ask for, `validation` is optional.
    package var splits: [String: Split]
    /// The classes in the order of the model's outputs; by default the training labels, sorted, the positive one last.
    package var classes: [String]?
    /// Images: `[height, width]` that pictures of a folder are brought to; by default the first one's, which all must have.
    package var size: [Int]?
    /// Images: 1 or 3, for pictures of a folder; by default the first one's.
    package var channels: Int?
    /// Images: the order of a file's axes, where it is not plain.
    package var layout: PictureLayout?
    package var csv: CSVFormat?
    package var columns: [Column]?
    package var label: Label?
    /// Columns by which fairness is measured.
    package var sensitive: [String]?
    /// The text that stands for a missing value; an empty field always does.
    package var missing: String?

    package static let fileName = "dataset.json"

    package init(kind: Kind, name: String, splits: [String: Split]) {
        self.kind = kind
        self.name = name
        self.splits = splits
    }

    package var columnNames: [String] { (columns ?? []).map(\.name) }

    /// The columns that a model may learn from.
    package var featureColumns: [Column] {
        (columns ?? []).filter { $0.type != .ignored && $0.name != label?.column }
    }
}

extension DatasetDescription {
    /// Reads and checks `<folder>/dataset.json`.
    ///
    /// - Throws: kind `.notFound` if there is none; kind `.usage` naming the file and the key that is wrong.
    package init(folder: String) throws {
        let path = FileSystem.join(folder, DatasetDescription.fileName)
        guard FileSystem.exists(path) else {
            throw MLOpsError(
                .notFound, "`\(folder)` holds no `\(DatasetDescription.fileName)`, so it is no dataset",
                hint: "name a dataset folder, or make one with the `import` step")
        }
        try self.init(file: path)
    }

    /// Reads and checks the description in the file at `path`.
    ///
    /// - Throws: kind `.usage` naming the file and the key that is wrong.
    package init(file path: String) throws {
        let json = try JSONValue(parsing: try FileSystem.read(path), source: path)
        try DatasetDescription.rejectUnknownKeys(in: json, path: path)
        do {
            self = try json.decode()
        } catch let error as DecodingError {
            throw MLOpsError(
                .usage, "`\(path)`: \(describe(error))", hint: "see Documentation/formats/dataset-folder.md",
                cause: error)
        }
        try check(path: path)
    }

    /// Writes `<folder>/dataset.json`, all or nothing.
    package func write(to folder: String) throws {
        let path = FileSystem.join(folder, DatasetDescription.fileName)
        try check(path: path)
        try FileSystem.replace(path, with: Array(try JSONValue(encoding: self).prettyText.utf8))
    }

    /// What the folder holds and what it claims to hold must agree before any file is read.
    package func check(path: String) throws {
        func fail(_ message: String, hint: String? = nil) -> MLOpsError {
            MLOpsError(.usage, "`\(path)`: \(message)", hint: hint)
        }
        guard format == 1 else {
            throw fail("format \(format) is not known", hint: "this program reads format 1; a newer one may read it")
        }
        guard splits["train"] != nil || splits["test"] != nil else {
            throw fail("`splits` names neither `train` nor `test`")
        }
        for (name, split) in splits.sorted(by: { $0.key < $1.key }) {
            for file in split.paths { _ = try RelativePath(file) }
            guard split.isComplete(kind) else {
                let need =
                    kind == .tabular ? "`files`, or `features` and `labels`," : "`folder`, or `images` and `labels`,"
                throw fail("split `\(name)` needs \(need) for kind `\(kind.rawValue)`, and no others")
            }
        }
        if let size, size.count != 2 || !size.allSatisfy({ (1...16384).contains($0) }) {
            throw fail("`size` is \(size), expected [height, width], each in 1...16384")
        }
        if let channels, channels != 1 && channels != 3 { throw fail("`channels` is \(channels), expected 1 or 3") }
        if let twice = Dictionary(grouping: classes ?? [], by: \.self).first(where: { $0.value.count > 1 })?.key {
            throw fail("class `\(printable(twice))` is listed twice")
        }
        if kind == .tabular { try hasArrays ? checkArrayColumns(fail) : checkColumns(fail) }
    }

    /// Whether a split is an array of numbers, whose columns need no names.
    package var hasArrays: Bool { splits.values.contains { $0.features != nil } }

    private func checkArrayColumns(_ fail: (String, String?) -> MLOpsError) throws {
        guard splits.values.allSatisfy({ $0.features != nil }) else {
            throw fail("some splits have `files`, others `features`", "store all splits in one way")
        }
        for (key, isSet) in [("csv", csv != nil), ("missing", missing != nil), ("sensitive", sensitive != nil)]
        where isSet {
            throw fail("`\(key)` is for files of text, not for arrays", nil)
        }
        if let wrong = (columns ?? []).first(where: { $0.type == .categorical }) {
            throw fail("column `\(wrong.name)` of an array is categorical, expected numeric or ignored", nil)
        }
    }

    private func checkColumns(_ fail: (String, String?) -> MLOpsError) throws {
        guard let label, !columnNames.isEmpty else { throw fail("kind `tabular` needs `columns` and `label`", nil) }
        if let twice = Dictionary(grouping: columnNames, by: \.self).first(where: { $0.value.count > 1 })?.key {
            throw fail("column `\(twice)` is listed twice", nil)
        }
        for name in [label.column] + (sensitive ?? []) where !columnNames.contains(name) {
            let hint = nearestName(to: name, among: columnNames).map { "did you mean `\($0)`?" }
            throw fail("`\(name)` is none of the columns", hint)
        }
        guard !featureColumns.isEmpty else { throw fail("no column is left to learn from", nil) }
    }

    private static func rejectUnknownKeys(in json: JSONValue, path: String) throws {
        let known: [(JSONValue?, String, [String])] =
            [
                (
                    json, "",
                    [
                        "format", "kind", "name", "source", "licence", "splits", "classes", "size", "channels",
                        "layout",
                        "csv", "columns", "label", "sensitive", "missing",
                    ]
                ),
                (json["csv"], "csv.", CSVFormat.keys),
                (json["label"], "label.", ["column", "positive", "strip_suffix"]),
            ]
            + (json["splits"]?.object ?? [:]).sorted { $0.key < $1.key }.map { name, split in
                (split, "splits.\(name).", ["files", "images", "labels", "folder", "features"])
            }
        for (object, prefix, keys) in known {
            for key in (object?.object ?? [:]).keys.sorted() where !keys.contains(key) {
                let hint = nearestName(to: key, among: keys).map { "did you mean `\(prefix)\($0)`?" }
                throw MLOpsError(
                    .usage, "`\(path)`: unknown key `\(prefix)\(printable(key))`",
                    hint: hint ?? "known keys: \(keys.joined(separator: ", "))")
            }
        }
    }
}

/// What is wrong where, of a decoding error: `columns.3.type is missing`.
package func describe(_ error: DecodingError) -> String {
    func place(_ path: [any CodingKey]) -> String {
        let text = path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        return text.isEmpty ? "the document" : "`\(text)`"
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
    case .typeMismatch(let type, let context): return "\(place(context.codingPath)) is not of type \(type)"
    case .valueNotFound(_, let context): return "\(place(context.codingPath)) is null"
    case .dataCorrupted(let context): return "\(place(context.codingPath)): \(context.debugDescription)"
    @unknown default: return "it cannot be read"
    }
}
