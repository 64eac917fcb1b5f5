import Basics
import Testing

/// The path of the file `name` of `Tests/Fixtures/audits`.
func fixturePath(_ name: String, file: String = #filePath) -> String {
    var folder = file
    for _ in 0..<3 { folder = FileSystem.parent(of: folder) }
    return FileSystem.join(folder, "Fixtures/audits/\(name)")
}

/// The JSON of the file `name` of `Tests/Fixtures/audits`.
func fixture(_ name: String) throws -> JSONValue {
    try JSONValue(parsing: try FileSystem.read(fixturePath(name)), source: name)
}

extension JSONValue {
    var numbers: [Double] { (array ?? []).compactMap(\.number) }
    var integers: [Int] { (array ?? []).compactMap(\.integer) }
    var strings: [String] { (array ?? []).compactMap(\.string) }
}

/// Expects every number of `expected` (objects and arrays within objects too) in `actual`, within 1e-12.
func expectEqual(_ actual: JSONValue, _ expected: JSONValue, at path: String) {
    switch expected {
    case .object(let members):
        for (key, value) in members { expectEqual(actual[key] ?? .null, value, at: "\(path).\(key)") }
    case .array(let items):
        #expect(actual.array?.count == items.count, "\(path)")
        for (index, pair) in zip(actual.array ?? [], items).enumerated() {
            expectEqual(pair.0, pair.1, at: "\(path)[\(index)]")
        }
    default:
        guard let number = expected.number else { return #expect(actual == expected, "\(path)") }
        let difference = abs((actual.number ?? .infinity) - number)
        #expect(difference <= 1e-12, "\(path) is \(actual.canonicalText), expected \(number)")
    }
}
