/// Finds any of many byte sequences in one pass over a text, whatever their number (Aho and Corasick, 1975).
///
/// Ends of lines are not part of the text: a sequence is found though it is broken into lines.
struct PatternSearch: Sendable {
    /// Where a search stands: 0 at the start.
    typealias Place = Int32

    /// The column of each byte in `next`; 0 for all that stand in no pattern.
    private let column: [UInt8]
    private let width: Int
    private var next: [Place]
    /// How many bytes of a pattern are matched at a place.
    private(set) var depth: [Int32]
    /// The length of the longest pattern that ends at a place; 0 where none does.
    private(set) var matched: [Int32]

    init(_ patterns: Set<[UInt8]>) {
        var column = [UInt8](repeating: 0, count: 256)
        var width = 1
        for byte in Set(patterns.joined()).sorted() where width < 256 {
            column[Int(byte)] = UInt8(width)
            width += 1
        }
        self.column = column
        self.width = width
        (next, depth, matched) = ([Place](repeating: 0, count: width), [0], [0])
        for pattern in patterns where !pattern.isEmpty { insert(pattern) }
        link()
    }

    private mutating func insert(_ pattern: [UInt8]) {
        var place = 0
        for byte in pattern {
            let index = place * width + Int(column[Int(byte)])
            if next[index] == 0 {
                next[index] = Place(depth.count)
                next += [Place](repeating: 0, count: width)
                depth.append(depth[place] + 1)
                matched.append(0)
            }
            place = Int(next[index])
        }
        matched[place] = Int32(pattern.count)
    }

    /// Where no pattern goes on, the search goes on with the longest end of what was matched that begins another.
    private mutating func link() {
        var fallback = [Int](repeating: 0, count: depth.count)
        var queue = (0..<width).map { Int(next[$0]) }.filter { $0 != 0 }
        var head = 0
        while head < queue.count {
            let place = queue[head]
            head += 1
            let other = fallback[place]
            matched[place] = max(matched[place], matched[other])
            for symbol in 0..<width {
                let child = Int(next[place * width + symbol])
                if child == 0 {
                    next[place * width + symbol] = next[other * width + symbol]
                } else {
                    fallback[child] = Int(next[other * width + symbol])
                    queue.append(child)
                }
            }
        }
    }

    /// The place after `byte`, which is no end of a line.
    @inline(__always)
    func step(_ place: Place, _ byte: UInt8) -> Place { next[Int(place) * width + Int(column[Int(byte)])] }
}
