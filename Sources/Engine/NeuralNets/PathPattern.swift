/// A pattern of parameters' paths: segments between dots, in which `*` stands for any characters. It fits a path and all below
/// it: `features`, `features.*.weight`, `*.bias`.
struct PathPattern {
    private let segments: [[Character]]

    init(_ text: String) {
        segments = text.split(separator: ".", omittingEmptySubsequences: false).map(Array.init)
    }

    func matches(_ path: String) -> Bool {
        let parts = path.split(separator: ".", omittingEmptySubsequences: false).map(Array.init)
        return parts.count >= segments.count
            && zip(segments, parts).allSatisfy { PathPattern.fits($0[...], $1[...]) }
    }

    private static func fits(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let rest = pattern.dropFirst()
        guard first == "*" else { return text.first == first && fits(rest, text.dropFirst()) }
        return text.indices.contains { fits(rest, text[$0...]) } || fits(rest, text[text.endIndex...])
    }
}
