internal import Basics

/// Hides secrets in texts: each form of each becomes `***`.
struct SecretMasker: Sendable {
    static let mask = Array("***".utf8)

    private let search: PatternSearch?

    init(_ secrets: [String]) {
        let forms = secrets.reduce(into: Set<[UInt8]>()) { $0.formUnion(SecretForms.all(of: $1)) }
        search = forms.isEmpty ? nil : PatternSearch(forms)
    }

    /// Hides nothing.
    static let none = SecretMasker([])

    var isEmpty: Bool { search == nil }

    func stream() -> Stream? { search.map { Stream($0) } }

    func masked(_ text: String) -> String {
        guard let search else { return text }
        var stream = Stream(search)
        var output: [UInt8] = []
        Array(text.utf8).withUnsafeBytes { stream.append($0, to: &output) }
        stream.finish(&output)
        return String(decoding: output, as: UTF8.self)
    }

    /// Every text in `value`, keys included.
    func masked(_ value: JSONValue) -> JSONValue {
        if isEmpty { return value }
        switch value {
        case .string(let text): return .string(masked(text))
        case .array(let items): return .array(items.map { masked($0) })
        case .object(let members):
            return .object(Dictionary(members.map { (masked($0), masked($1)) }, uniquingKeysWith: { $1 }))
        default: return value
        }
    }

    func masked(_ error: MLOpsError) -> MLOpsError {
        if isEmpty { return error }
        return StepFailure(masked(StepFailure(error).json)).error
    }

    func finds(in bytes: [UInt8]) -> Bool {
        guard let search else { return false }
        var place: PatternSearch.Place = 0
        for byte in bytes where byte != 0x0A && byte != 0x0D {
            place = search.step(place, byte)
            if search.matched[Int(place)] > 0 { return true }
        }
        return false
    }

    /// Whether the file at `path` holds a secret.
    func finds(inFile path: String) throws -> Bool {
        guard let search else { return false }
        let file = try OpenFile(reading: path)
        var block = [UInt8](repeating: 0, count: 1 << 20)
        var place: PatternSearch.Place = 0
        var offset: Int64 = 0
        while true {
            let count = try block.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
            if count == 0 { return false }
            let isFound = block.withUnsafeBytes { bytes in
                for byte in bytes[..<count] where byte != 0x0A && byte != 0x0D {
                    place = search.step(place, byte)
                    if search.matched[Int(place)] > 0 { return true }
                }
                return false
            }
            if isFound { return true }
            offset += Int64(count)
        }
    }

    /// Hides secrets in bytes that arrive in pieces: what may be the beginning of one is held back until it is clear.
    struct Stream {
        private let search: PatternSearch
        private var place: PatternSearch.Place = 0
        /// Bytes that were not handed out yet, and which of them belong to a secret.
        private var held: [UInt8] = []
        private var isSecret: [Bool] = []
        /// Where in `held` the bytes are that are no ends of lines.
        private var letters: [Int] = []
        /// Whether the last that was handed out was a mask.
        private var endsInMask = false

        init(_ search: PatternSearch) { self.search = search }

        mutating func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
            output.reserveCapacity(output.count + bytes.count)
            for byte in bytes {
                if place == 0, held.isEmpty {
                    // The usual case: nothing is held, and this byte begins nothing.
                    let next = byte == 0x0A || byte == 0x0D ? 0 : search.step(0, byte)
                    if next == 0 {
                        output.append(byte)
                        endsInMask = false
                        continue
                    }
                }
                take(byte, &output)
            }
        }

        private mutating func take(_ byte: UInt8, _ output: inout [UInt8]) {
            held.append(byte)
            isSecret.append(false)
            if byte != 0x0A, byte != 0x0D {
                letters.append(held.count - 1)
                place = search.step(place, byte)
                let length = Int(search.matched[Int(place)])
                if length > 0 { for index in letters[letters.count - length]..<held.count { isSecret[index] = true } }
            }
            let depth = Int(search.depth[Int(place)])
            if depth == 0 {
                release(held.count, &output)
            } else if letters.count > depth {
                release(letters[letters.count - depth], &output)
            }
        }

        mutating func finish(_ output: inout [UInt8]) {
            release(held.count, &output)
            place = 0
        }

        private mutating func release(_ count: Int, _ output: inout [UInt8]) {
            guard count > 0 else { return }
            for index in 0..<count {
                if !isSecret[index] { output.append(held[index]) } else if !endsInMask { output += SecretMasker.mask }
                endsInMask = isSecret[index]
            }
            held.removeFirst(count)
            isSecret.removeFirst(count)
            letters = letters.drop { $0 < count }.map { $0 - count }
        }
    }
}
