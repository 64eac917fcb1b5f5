internal import Foundation

/// Any JSON value, with one canonical text: keys sorted by their UTF-8 bytes, no spaces, shortest numbers.
///
/// Integers keep all 64 bits. NaN and infinities have no JSON form: encoding writes them as null, and readers that need a
/// number refuse null.
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The value that `bytes` hold.
    ///
    /// - Throws: `MLOpsError` of kind `.usage` with the place in `source` when they are not one JSON document.
    package init(parsing bytes: [UInt8], source: String) throws {
        do {
            self = try JSONParser.parse(bytes)
        } catch {
            throw MLOpsError(
                .usage, "not valid JSON: \(error.reason)",
                at: SourceLocation(path: source, line: error.line, column: error.column))
        }
    }

    /// The value that encodes `value`.
    package init(encoding value: some Encodable) throws {
        if let json = value as? JSONValue {
            self = json
            return
        }
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        self = try JSONParser.parse(Array(try encoder.encode(value)))
    }

    /// The value as a `Value`.
    ///
    /// - Throws: `DecodingError` where a key is missing or has another type.
    package func decode<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return try decoder.decode(type, from: Data(canonicalBytes))
    }

    /// The member `key` of an object; nil for a missing key and for any other value.
    package subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    /// `value` as it is read from a text: a whole number below 2^53 is an `.int`.
    package static func number(_ value: Double) -> JSONValue {
        let isExact = value == value.rounded() && abs(value) < 9_007_199_254_740_992
        return isExact ? .int(Int64(value)) : .double(value)
    }

    /// The number as a `Double`; nil for any other value.
    package var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    package var string: String? { if case .string(let value) = self { value } else { nil } }

    package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }

    package var object: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }

    package var integer: Int? { if case .int(let value) = self { Int(exactly: value) } else { nil } }

    package var boolean: Bool? { if case .bool(let value) = self { value } else { nil } }
}

extension JSONValue {
    /// The canonical text in UTF-8: what digests are taken of.
    package var canonicalBytes: [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.output
    }

    /// The canonical text.
    package var canonicalText: String { String(decoding: canonicalBytes, as: UTF8.self) }

    /// Sorted keys, two spaces of indent and a last newline, for people and for git.
    package var prettyText: String {
        String(decoding: prettyBytes, as: UTF8.self)
    }

    /// `prettyText` in UTF-8.
    package var prettyBytes: [UInt8] {
        var writer = JSONWriter(indent: 2)
        writer.write(self)
        var bytes = writer.output
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }
}

extension JSONValue: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): if value.isFinite { try container.encode(value) } else { try container.encodeNil() }
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }
    package init(nilLiteral: ()) { self = .null }
}
