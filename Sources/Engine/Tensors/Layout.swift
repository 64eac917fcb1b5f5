/// Where the elements of a tensor lie: how far apart neighbours along each axis are.
struct Layout: Sendable, Hashable {
    /// In elements, one for each axis (1 for an axis of extent 1); nil means row-major.
    private let strides: [Int]?
    /// Whether the elements fill a block of memory without gap or repetition, in whatever order of axes.
    let isDense: Bool

    /// Row-major.
    @inline(__always) init() {
        strides = nil
        isDense = true
    }

    @inline(__always) var isRowMajor: Bool { strides == nil }

    @inline(__always) static func == (left: Layout, right: Layout) -> Bool {
        guard let l = left.strides, let r = right.strides else { return left.isRowMajor && right.isRowMajor }
        return l == r
    }

    /// `strides` of a tensor of `shape`, in the one form in which equal layouts compare as equal.
    init(_ shape: [Int], strides: [Int]) {
        precondition(strides.count == shape.count, "strides \(strides) are not those of shape \(shape)")
        var expected = 1
        var isRowMajor = true
        for axis in shape.indices.reversed() where shape[axis] != 1 {
            isRowMajor = isRowMajor && strides[axis] == expected
            expected *= shape[axis]
        }
        if isRowMajor || expected == 0 {
            self.init()
            return
        }
        let canonical = shape.indices.map { shape[$0] == 1 ? 1 : strides[$0] }
        let inward = shape.indices.filter { shape[$0] != 1 }.sorted { canonical[$0] < canonical[$1] }
        var span = 1
        var isDense = true
        for axis in inward {
            isDense = isDense && canonical[axis] == span
            span *= shape[axis]
        }
        self.init(canonical: canonical, isDense: isDense)
    }

    private init(canonical strides: [Int], isDense: Bool) {
        self.strides = strides
        self.isDense = isDense
    }

    /// The layout of a dense block whose axes, outermost first, are `order`.
    init(_ shape: [Int], order: [Int]) {
        var strides = [Int](repeating: 1, count: shape.count)
        var span = 1
        for axis in order.reversed() {
            strides[axis] = span
            span *= shape[axis]
        }
        self.init(shape, strides: strides)
    }

    /// Pictures `[N, C, H, W]` that lie as `[N, H, W, C]`.
    init(channelsLast shape: [Int]) {
        precondition(shape.count == 4, "pictures of shape \(shape) do not have 4 axes")
        let (n, c, h, w) = (shape[0], shape[1], shape[2], shape[3])
        // Extents of 1 and 0 have one form of their own.
        if n > 0, c > 1, h > 1, w > 1 {
            self.init(canonical: [n == 1 ? 1 : h * w * c, 1, w * c, c], isDense: true)
        } else {
            self.init(shape, order: [0, 2, 3, 1])
        }
    }

    /// Whether it is that of pictures of `shape` that lie as `[N, H, W, C]`.
    func isChannelsLast(_ shape: [Int]) -> Bool {
        guard shape.count == 4 else { return false }
        let (n, c, h, w) = (shape[0], shape[1], shape[2], shape[3])
        if n > 0, c > 1, h > 1, w > 1 {
            guard let strides else { return false }
            return strides[1] == 1 && strides[3] == c && strides[2] == w * c && strides[0] == (n == 1 ? 1 : h * w * c)
        }
        return self == Layout(channelsLast: shape)
    }

    func strides(of shape: [Int]) -> [Int] { strides ?? contiguousStrides(shape) }

    /// Whether one axis of `shape` is the innermost in memory of both, so that walking along it is quick in both.
    func hasSameInnermostAxis(as other: Layout, shape: [Int]) -> Bool {
        let (own, others) = (strides(of: shape), other.strides(of: shape))
        return shape.indices.contains { shape[$0] > 1 && own[$0] == 1 && others[$0] == 1 }
    }

    /// The axes from the outermost in memory to the innermost.
    func order(of shape: [Int]) -> [Int] {
        guard let strides else { return Array(shape.indices) }
        return shape.indices.sorted { strides[$0] == strides[$1] ? $0 < $1 : strides[$0] > strides[$1] }
    }
}

/// Strides in elements of a row-major tensor of `shape`.
func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
}

/// The strides with which elements of `shape` that lie at `strides` read as `target`; nil if they must be copied for that.
func reshapedStrides(_ shape: [Int], _ strides: [Int], to target: [Int]) -> [Int]? {
    var result = [Int](repeating: 1, count: target.count)
    var axis = target.count - 1
    var base = strides.last ?? 1
    var extent = 1
    var filled = 1
    for source in shape.indices.reversed() {
        extent *= shape[source]
        // A run of axes that one stride describes ends where the next does not continue it.
        guard source == 0 || shape[source - 1] != 1 && strides[source - 1] != extent * base else { continue }
        while axis >= 0, filled < extent || target[axis] == 1 {
            result[axis] = filled * base
            filled *= target[axis]
            axis -= 1
        }
        guard filled == extent else { return nil }
        if source > 0 {
            base = strides[source - 1]
            extent = 1
            filled = 1
        }
    }
    return axis == -1 ? result : nil
}

/// `axes`, outermost first, of two strided places with neighbours made one where both places go on regularly; axes of extent 1 are
/// left out.
func mergedAxes(
    _ axes: some Sequence<Int>, of shape: [Int], _ left: [Int], _ right: [Int]
) -> (shape: [Int], left: [Int], right: [Int]) {
    var merged: (shape: [Int], left: [Int], right: [Int]) = ([], [], [])
    for axis in axes where shape[axis] != 1 {
        if let last = merged.shape.indices.last, merged.left[last] == left[axis] * shape[axis],
            merged.right[last] == right[axis] * shape[axis]
        {
            merged.shape[last] *= shape[axis]
            merged.left[last] = left[axis]
            merged.right[last] = right[axis]
        } else {
            merged.shape.append(shape[axis])
            merged.left.append(left[axis])
            merged.right.append(right[axis])
        }
    }
    return merged
}
