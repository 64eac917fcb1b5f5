internal import Basics

/// A number that may be undefined. It is written as `null` then, so that a reader sees the metric and a gate refuses it.
@propertyWrapper
package struct OrNull: Codable, Hashable, Sendable {
    package var wrappedValue: Double?

    package init(wrappedValue: Double?) { self.wrappedValue = wrappedValue.flatMap { $0.isFinite ? $0 : nil } }

    package init(from decoder: any Decoder) throws {
        wrappedValue = try Null<Double>(from: decoder).wrappedValue
    }

    package func encode(to encoder: any Encoder) throws {
        try Null(wrappedValue: wrappedValue).encode(to: encoder)
    }
}

extension KeyedDecodingContainer {
    /// A missing key reads as undefined.
    package func decode(_ type: OrNull.Type, forKey key: Key) throws -> OrNull {
        try decodeIfPresent(type, forKey: key) ?? OrNull(wrappedValue: nil)
    }
}

/// Lower and upper bound of an interval, written `[lower, upper]`.
package struct Interval: Codable, Hashable, Sendable {
    package var lower: Double
    package var upper: Double

    package init(_ lower: Double, _ upper: Double) {
        self.lower = lower
        self.upper = upper
    }

    package init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        lower = try container.decode(Double.self)
        upper = try container.decode(Double.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        try container.encode(lower)
        try container.encode(upper)
    }
}
