/// A number of bytes as people write it.
package struct ByteCount: Hashable, Sendable, CustomStringConvertible {
    package var bytes: Int64

    package init(_ bytes: Int64) { self.bytes = bytes }

    /// `512`, `64k`, `10M`, `1.5GiB`: `k`, `M`, `G`, `T`, alone or with `iB`, are powers of 1024, as curl and wget have them;
    /// `kB`, `MB`, … are powers of 1000. Letters of any case; nil for anything else, and for what is not above 0.
    package init?(parsing text: String) {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let value = Double(digits) else { return nil }
        let unit = text.dropFirst(digits.count).lowercased()
        var scale = 1.0
        if let power = unit.first.flatMap({ "kmgt".firstIndex(of: $0) }) {
            let exponent = "kmgt".distance(from: "kmgt".startIndex, to: power) + 1
            guard ["", "ib", "b"].contains(unit.dropFirst()) else { return nil }
            for _ in 0..<exponent { scale *= unit.dropFirst() == "b" ? 1000 : 1024 }
        } else if !unit.isEmpty, unit != "b" {
            return nil
        }
        let bytes = (value * scale).rounded()
        guard bytes >= 1, bytes < 1e18 else { return nil }
        self.bytes = Int64(bytes)
    }

    package var description: String { Format.bytes(bytes) }
}
