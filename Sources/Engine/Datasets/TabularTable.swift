internal import Basics
internal import TensorFiles

/// One column of a table in memory.
package enum TabularColumn: Hashable, Sendable {
    /// NaN where the value is missing.
    case numeric([Double])
    /// Indices into the sorted `categories`; -1 where the value is missing.
    case categorical(codes: [Int32], categories: [String])

    package var count: Int {
        switch self {
        case .numeric(let values): values.count
        case .categorical(let codes, _): codes.count
        }
    }

    /// The value at `index` as text; nil where it is missing.
    package func text(_ index: Int) -> String? {
        switch self {
        case .numeric(let values): values[index].isNaN ? nil : Format.number(values[index])
        case .categorical(let codes, let categories): codes[index] < 0 ? nil : categories[Int(codes[index])]
        }
    }

    /// The values at `indices`, in that order.
    package func rows(_ indices: [Int]) -> TabularColumn {
        switch self {
        case .numeric(let values): .numeric(indices.map { values[$0] })
        case .categorical(let codes, let categories):
            .categorical(codes: indices.map { codes[$0] }, categories: categories)
        }
    }
}

/// A split of a tabular dataset: its columns by name and its label.
package struct TabularTable: Sendable {
    /// Every column that is not ignored, and the sensitive ones; the label's excluded.
    package var columns: [String: TabularColumn]
    /// The text of each row's label.
    package var labels: [String]

    package var count: Int { labels.count }

    /// The rows at `indices`, in that order.
    package func rows(_ indices: [Int]) -> TabularTable {
        TabularTable(columns: columns.mapValues { $0.rows(indices) }, labels: indices.map { labels[$0] })
    }

    /// Reads the files of one split.
    ///
    /// - Throws: kind `.usage` at `file:line` for a malformed row, text in a numeric column, or a missing label.
    package init(files: [String], description: DatasetDescription) throws {
        var loader = try TabularLoader(description: description)
        for file in files { try loader.read(file) }
        guard loader.count > 0 else {
            throw MLOpsError(.usage, "`\(files.joined(separator: "`, `"))` holds no rows")
        }
        (columns, labels) = loader.finish()
    }

    /// Reads a split of arrays: numbers `[count, columns]`, NaN where one is missing, and labels.
    ///
    /// - Throws: kind `.usage` for another shape, another count of columns, or an infinite number.
    init(features: String, labels: String, description: DatasetDescription) throws {
        let array = try ArrayFile.read(features)
        guard array.shape.count == 2, array.count > 0 else {
            throw MLOpsError(.usage, "`\(features)` has shape \(array.shape), expected [count, columns]")
        }
        let (count, width) = (array.shape[0], array.shape[1])
        let declared = description.columns ?? TabularTable.arrayColumns(width)
        guard declared.count == width else {
            throw MLOpsError(
                .usage, "`\(features)` has \(Format.count(width, "column")), the description lists \(declared.count)")
        }
        let numbers = try Labels.read(labels, of: features, count: count)
        let names = description.classes ?? []
        self.labels = numbers.map { names.indices.contains($0) ? names[$0] : String($0) }
        let values = array.floats()
        if let index = values.firstIndex(where: \.isInfinite) {
            throw MLOpsError(
                .usage, "row \(index / width), column \(index % width) of `\(features)` is \(values[index])",
                hint: "only finite numbers are data; NaN stands for a missing one")
        }
        columns = [:]
        for (index, column) in declared.enumerated() where column.type != .ignored {
            columns[column.name] = .numeric((0..<count).map { Double(values[$0 * width + index]) })
        }
    }

    /// The columns of an array without names.
    static func arrayColumns(_ count: Int) -> [DatasetDescription.Column] {
        (0..<count).map { DatasetDescription.Column(name: "x\($0)", type: .numeric) }
    }

    init(columns: [String: TabularColumn], labels: [String]) {
        self.columns = columns
        self.labels = labels
    }
}

/// Collects rows into columns.
private struct TabularLoader {
    private struct Builder {
        var name: String
        var index: Int
        var isNumeric: Bool
        var numbers: [Double] = []
        var codes: [Int32] = []
        var known: [String: Int32] = [:]

        mutating func append(_ row: CSVRow, missing: [UInt8]) throws {
            let bytes = row.bytes(of: index)
            let isMissing = bytes.isEmpty || bytes.elementsEqual(missing)
            if isNumeric {
                numbers.append(isMissing ? .nan : try row.number(index, column: name))
            } else if isMissing {
                codes.append(-1)
            } else {
                let text = String(decoding: bytes, as: UTF8.self)
                let code = known[text] ?? Int32(known.count)
                known[text] = code
                codes.append(code)
            }
        }
    }

    private let description: DatasetDescription
    private let labelIndex: Int
    private let labelColumn: String
    private let missing: [UInt8]
    private var builders: [Builder] = []
    private var labels: [String] = []

    /// Where a file that inflates without end stops filling the memory.
    private static let maximumFieldCount = 1 << 30

    var count: Int { labels.count }

    init(description: DatasetDescription) throws {
        self.description = description
        labelColumn = description.label?.column ?? ""
        guard let labelIndex = description.columnNames.firstIndex(of: labelColumn) else {
            throw MLOpsError(.usage, "label column `\(labelColumn)` is none of the dataset's columns")
        }
        self.labelIndex = labelIndex
        missing = Array((description.missing ?? "").utf8)
        let sensitive = Set(description.sensitive ?? [])
        for (index, column) in (description.columns ?? []).enumerated() where index != labelIndex {
            guard column.type != .ignored || sensitive.contains(column.name) else { continue }
            builders.append(Builder(name: column.name, index: index, isNumeric: column.type == .numeric))
        }
    }

    mutating func read(_ file: String) throws {
        let reader = try CSVReader(
            path: file, format: description.csv ?? CSVFormat(), columns: description.columnNames)
        while let row = try reader.next() {
            try append(row)
            guard labels.count <= TabularLoader.maximumFieldCount / max(builders.count, 1) else {
                throw MLOpsError(
                    .usage, "the table has more than \(TabularLoader.maximumFieldCount) fields", at: row.location)
            }
        }
    }

    private mutating func append(_ row: CSVRow) throws {
        for index in builders.indices { try builders[index].append(row, missing: missing) }
        var label = row[labelIndex]
        if let suffix = description.label?.stripSuffix, label.hasSuffix(suffix) { label.removeLast(suffix.count) }
        if label.isEmpty || label == description.missing {
            throw MLOpsError(
                .usage, "label column `\(labelColumn)` is missing", hint: "remove the rows without a label",
                at: row.location)
        }
        labels.append(label)
    }

    func finish() -> ([String: TabularColumn], [String]) {
        var columns: [String: TabularColumn] = [:]
        for builder in builders {
            if builder.isNumeric {
                columns[builder.name] = .numeric(builder.numbers)
                continue
            }
            let sorted = builder.known.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            var renumbered = [Int32](repeating: 0, count: sorted.count)
            for (new, entry) in sorted.enumerated() { renumbered[Int(entry.value)] = Int32(new) }
            columns[builder.name] = .categorical(
                codes: builder.codes.map { $0 < 0 ? -1 : renumbered[Int($0)] }, categories: sorted.map(\.key))
        }
        return (columns, labels)
    }
}
