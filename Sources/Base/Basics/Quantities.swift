internal import Foundation
internal import Glibc

/// Numbers as people read them.
package enum Format {
    /// `512 B`, `1.5 KiB`, `64.0 MiB`.
    package static func bytes(_ count: Int64) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB"]
        guard count >= 1024 else { return "\(count) B" }
        var value = Double(count) / 1024
        var unit = 0
        while value >= 1023.95, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(fixed(value, 1)) \(units[unit])"
    }

    /// `0.8 ms`, `1.24 s`, `3 min 05 s`, `2 h 10 min`.
    package static func duration(_ duration: Duration) -> String {
        let seconds = duration.seconds
        switch seconds {
        case ..<0.001: return "\(fixed(seconds * 1e6, 0)) µs"
        case ..<1: return "\(fixed(seconds * 1e3, seconds < 0.01 ? 1 : 0)) ms"
        case ..<60: return "\(fixed(seconds, 2)) s"
        case ..<3600: return "\(Int(seconds) / 60) min \(padded(Int(seconds) % 60)) s"
        default: return "\(Int(seconds) / 3600) h \(padded(Int(seconds) / 60 % 60)) min"
        }
    }

    /// `1 file`, `2 files`.
    package static func count(_ count: Int, _ singular: String, plural: String? = nil) -> String {
        count == 1 ? "1 \(singular)" : "\(count) \(plural ?? singular + "s")"
    }

    /// `value` with exactly `places` decimals and a point, whatever the locale.
    package static func fixed(_ value: Double, _ places: Int) -> String {
        String(format: "%.\(places)f", locale: Locale(identifier: "en_US_POSIX"), value)
    }

    /// `value` to about four significant digits, without an exponent where it can be helped.
    package static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e9 { return String(Int64(value)) }
        return String(format: "%.4g", locale: Locale(identifier: "en_US_POSIX"), value)
    }

    private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}

extension Duration {
    /// The duration as seconds.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }

    /// `90`, `90s`, `10m`, `2h`, `1h30m`, `500ms`: the units h, m, s, ms; nil for anything else.
    package init?(parsing text: String) {
        // Far above any use, far below where `Duration` overflows.
        let limit = 1e10
        if let seconds = Double(text), seconds >= 0 {
            guard seconds < limit else { return nil }
            self = .seconds(seconds)
            return
        }
        let units: [String: Double] = ["h": 3600, "m": 60, "s": 1, "ms": 0.001]
        var total = 0.0
        var rest = text[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(digits), let scale = units[String(unit)] else { return nil }
            total += value * scale
        }
        guard total < limit else { return nil }
        self = .seconds(total)
    }
}

/// A moment of UTC, written as RFC 3339 with milliseconds: `2026-01-31T12:00:00.000Z`.
package struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible, Codable {
    /// Milliseconds since 1970.
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The system clock's present.
    package static var now: Timestamp {
        Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }

    /// Reads what `description` writes; nil for anything else.
    package init?(_ text: String) {
        let text = Array(text.utf8)
        guard text.count == 24, text[23] == UInt8(ascii: "Z") else { return nil }
        func field(_ range: Range<Int>) -> Int? { Int(String(decoding: text[range], as: UTF8.self)) }
        guard let year = field(0..<4), let month = field(5..<7), let day = field(8..<10), let hour = field(11..<13),
            let minute = field(14..<16), let second = field(17..<19), let millisecond = field(20..<23)
        else { return nil }
        var fields = tm()
        fields.tm_year = Int32(year - 1900)
        fields.tm_mon = Int32(month - 1)
        fields.tm_mday = Int32(day)
        fields.tm_hour = Int32(hour)
        fields.tm_min = Int32(minute)
        fields.tm_sec = Int32(second)
        milliseconds = Int64(timegm(&fields)) * 1000 + Int64(millisecond)
        guard description == String(decoding: text, as: UTF8.self) else { return nil }
    }

    package var description: String {
        var seconds = time_t(milliseconds / 1000)
        var fields = tm()
        gmtime_r(&seconds, &fields)
        func pad(_ value: some BinaryInteger, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return pad(fields.tm_year + 1900, 4) + "-" + pad(fields.tm_mon + 1, 2) + "-" + pad(fields.tm_mday, 2) + "T"
            + pad(fields.tm_hour, 2) + ":" + pad(fields.tm_min, 2) + ":" + pad(fields.tm_sec, 2) + "."
            + pad(milliseconds % 1000, 3) + "Z"
    }

    /// `20260131T120000Z`, as AWS signatures write it.
    package var compact: String {
        String(description.prefix(19).filter { $0 != "-" && $0 != ":" }) + "Z"
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let value = Timestamp(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "`\(text)` is not an RFC 3339 time"))
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// `text` with at most `limit` characters, the last of them an ellipsis if there were more: what fits into a message or a drawing.
package func shortened(_ text: String, to limit: Int = 60) -> String {
    text.count <= limit ? text : text.prefix(limit - 1) + "…"
}
