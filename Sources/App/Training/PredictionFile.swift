internal import Audits
internal import Basics
internal import Datasets

/// The per-example results of a test: a CSV file with the columns `label`, `predicted` (class numbers), `score` (the
/// probability of the positive class, or of the predicted one where there are several), `correct` (1 or 0), and
/// one column for each sensitive column of the dataset.
struct PredictionFile {
    private let path: String
    private var columns: [String: [String]] = [:]
    private var names: [String] = []

    init(path: String) throws {
        self.path = path
        let reader = try CSVReader(path: path, format: CSVFormat(hasHeader: true))
        names = reader.columns
        var values = [[String]](repeating: [], count: names.count)
        while let row = try reader.next() {
            for index in names.indices { values[index].append(row[index]) }
        }
        for (name, column) in zip(names, values) { columns[name] = column }
    }

    func texts(in column: String) throws -> [String] {
        guard let values = columns[column] else {
            throw MLOpsError(
                .usage, "`\(path)` has no column `\(printable(column))`",
                hint: nearestName(to: column, among: names).map { "did you mean `\($0)`?" }
                    ?? "its columns are \(names.joined(separator: ", "))")
        }
        return values
    }

    func numbers(in column: String) throws -> [Double] {
        try texts(in: column).enumerated().map { row, text in
            guard let value = Double(text) else {
                throw MLOpsError(
                    .usage, "column `\(column)` holds `\(printable(text))`, expected a number",
                    at: SourceLocation(path: path, line: row + 2))
            }
            return value
        }
    }

    func flags(in column: String) throws -> [Int] { try numbers(in: column).map { Int($0) } }

    /// The text of the file.
    static func text(
        audit: ClassificationAudit, probabilities: [Double], labels: [Int], groups: [String: [String]]
    ) -> String {
        let classCount = audit.report.classes.count
        let groupNames = groups.keys.sorted()
        var text = (["label", "predicted", "score", "correct"] + groupNames.map(quoted)).joined(separator: ",") + "\n"
        for row in labels.indices {
            let predicted = audit.predictions[row]
            let score = probabilities[row * classCount + (classCount == 2 ? 1 : predicted)]
            text += "\(labels[row]),\(predicted),\(score),\(predicted == labels[row] ? 1 : 0)"
            for name in groupNames { text += "," + quoted(groups[name]?[row] ?? "") }
            text += "\n"
        }
        return text
    }

    private static func quoted(_ field: String) -> String {
        guard field.contains(where: { ",\"\n\r".contains($0) }) else { return field }
        return "\"" + field.replacing("\"", with: "\"\"") + "\""
    }
}
