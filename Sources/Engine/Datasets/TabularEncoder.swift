package import Basics

/// Records of named values to rows of numbers: numeric columns standardised, categorical ones one-hot.
///
/// Fitted on the examples that are learnt from alone and kept in the model file, so that a model sees at inference what it saw in training.
/// An unknown category is all zeros. A missing category has a place of its own if one was missing there, else zeros; a
/// missing number is the column's mean.
package struct TabularEncoder: Codable, Hashable, Sendable {
    /// How one column is encoded.
    package struct Field: Codable, Hashable, Sendable {
        package var name: String
        /// Set for numeric columns: mean and standard deviation of what was fitted to (1 for a constant column).
        package var mean: Double?
        package var deviation: Double?
        /// Set for categorical columns, in the order of their places.
        package var categories: [String]?
        /// Whether a last place stands for a missing category.
        package var hasMissingCategory: Bool?

        package var isNumeric: Bool { categories == nil }

        package var width: Int { categories.map { $0.count + (hasMissingCategory == true ? 1 : 0) } ?? 1 }

        private enum CodingKeys: String, CodingKey {
            case name, mean, deviation, categories
            case hasMissingCategory = "missing_category"
        }
    }

    package var fields: [Field]
    /// The text that stands for a missing value, besides the empty one.
    package var missing: String?

    /// The count of numbers of an encoded row.
    package var width: Int { fields.reduce(0) { $0 + $1.width } }

    /// Fits the encoding of `columns` to a table.
    ///
    /// - Throws: kind `.usage` if a numeric column has no value at all.
    package init(fitting table: TabularTable, columns: [DatasetDescription.Column], missing: String?) throws {
        self.missing = missing
        fields = try columns.map { column in
            switch table.columns[column.name] {
            case .numeric(let values): return try TabularEncoder.field(column.name, fitting: values)
            case .categorical(let codes, let categories):
                // A category that occurs in other rows only would get weights that nothing teaches.
                let present = Set(codes)
                return Field(
                    name: column.name,
                    categories: categories.enumerated().filter { present.contains(Int32($0.offset)) }.map(\.element),
                    hasMissingCategory: present.contains(-1))
            case nil: throw MLOpsError(.usage, "the table has no column `\(column.name)`")
            }
        }
    }

    private static func field(_ name: String, fitting values: [Double]) throws -> Field {
        let present = values.filter { !$0.isNaN }
        guard !present.isEmpty else {
            throw MLOpsError(
                .usage, "numeric column `\(name)` has no value in the examples to learn from",
                hint: "declare it as ignored in `\(DatasetDescription.fileName)`")
        }
        let mean = present.reduce(0, +) / Double(present.count)
        let variance = present.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(present.count)
        let deviation = variance.squareRoot()
        return Field(name: name, mean: mean, deviation: deviation > 0 ? deviation : 1)
    }

    /// The names of an encoded row's numbers: `age`, `sex=Male`, `occupation=?`.
    package var featureNames: [String] {
        fields.flatMap { field in
            guard let categories = field.categories else { return [field.name] }
            return categories.map { "\(field.name)=\($0)" }
                + (field.hasMissingCategory == true ? ["\(field.name)=?"] : [])
        }
    }

    /// No table becomes more numbers.
    private static let maximumCount = 1 << 30

    /// All rows of `table`, row-major, `table.count × width`.
    ///
    /// - Throws: kind `.usage` for a column of another type than the model's, or if there would be more than 2³⁰ numbers.
    package func encode(_ table: TabularTable) throws -> [Float] {
        guard width <= TabularEncoder.maximumCount / max(table.count, 1) else {
            let widest = fields.max { $0.width < $1.width }
            throw MLOpsError(
                .usage, "\(table.count) rows of \(width) encoded numbers are too many",
                hint:
                    "declare `\(widest?.name ?? "")`, which has \(widest?.width ?? 0) categories, as ignored or numeric"
            )
        }
        var output = [Float](repeating: 0, count: table.count * width)
        var start = 0
        for field in fields {
            switch table.columns[field.name] {
            case .numeric(let values) where field.isNumeric:
                for (row, value) in values.enumerated() { output[row * width + start] = field.standardise(value) }
            case .categorical(let codes, let categories) where !field.isNumeric:
                let places = categories.map { field.place(of: $0) }
                for (row, code) in codes.enumerated() {
                    if let place = code < 0 ? field.missingPlace : places[Int(code)] {
                        output[row * width + start + place] = 1
                    }
                }
            default:
                throw MLOpsError(.usage, "column `\(field.name)` is missing, or of another type than the model's")
            }
            start += field.width
        }
        return output
    }

    /// One record of named values as a row of `width` numbers.
    ///
    /// - Parameter record: a number or a string per column; null, an empty string and the missing marker are missing values.
    ///   Columns that the model does not know are ignored.
    /// - Throws: kind `.usage` for an absent column, or text where a number belongs.
    package func encode(_ record: [String: JSONValue]) throws -> [Float] {
        var output = [Float](repeating: 0, count: width)
        var start = 0
        for field in fields {
            guard let value = record[field.name] else {
                throw MLOpsError(
                    .usage, "the record has no column `\(field.name)`",
                    hint:
                        "the model needs \(fields.map(\.name).joined(separator: ", ")); null stands for a missing value"
                )
            }
            if field.isNumeric {
                output[start] = field.standardise(try number(value, of: field.name))
            } else if let place = try text(value, of: field.name).map({ field.place(of: $0) }) ?? field.missingPlace {
                output[start + place] = 1
            }
            start += field.width
        }
        return output
    }

    private func isMissing(_ text: String) -> Bool { text.isEmpty || text == missing }

    private func number(_ value: JSONValue, of column: String) throws -> Double {
        switch value {
        case .null: return .nan
        case .int(let value): return Double(value)
        case .double(let value) where value.isFinite: return value
        case .string(let text) where isMissing(text): return .nan
        case .string(let text):
            if let value = parseNumber(Array(text.utf8)[...]) { return value }
        default: break
        }
        throw MLOpsError(
            .usage, "column `\(column)` holds `\(printable(String(value.canonicalText.prefix(60))))`, expected a number"
        )
    }

    private func text(_ value: JSONValue, of column: String) throws -> String? {
        switch value {
        case .null: return nil
        case .string(let text): return isMissing(text) ? nil : text
        case .int, .double, .bool: return value.canonicalText
        default:
            throw MLOpsError(.usage, "column `\(column)` holds a list or an object, expected text")
        }
    }
}

extension TabularEncoder.Field {
    /// (value − mean) ÷ deviation, clipped to ±10⁶ so that no input makes an infinite score; 0 for a missing value.
    func standardise(_ value: Double) -> Float {
        guard let mean, let deviation, !value.isNaN else { return 0 }
        return Float(min(max((value - mean) / deviation, -1e6), 1e6))
    }

    /// The place of a category among the field's numbers; nil for an unknown one.
    func place(of category: String) -> Int? { categories?.firstIndex(of: category) }

    var missingPlace: Int? { hasMissingCategory == true ? categories?.count : nil }
}
