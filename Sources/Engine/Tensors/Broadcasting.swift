/// The shape that `left` and `right` broadcast to: axes are matched from the back, 1 repeats.
func broadcastShape(_ operation: String, _ left: [Int], _ right: [Int]) throws -> [Int] {
    if left == right { return left }
    let rank = max(left.count, right.count)
    return try (0..<rank).map { axis in
        let l = axis - rank + left.count >= 0 ? left[axis - rank + left.count] : 1
        let r = axis - rank + right.count >= 0 ? right[axis - rank + right.count] : 1
        guard l == r || l == 1 || r == 1 else {
            throw shapeError(operation, left, right, "axis \(axis - rank) has extents \(l) and \(r)")
        }
        return l == 1 ? r : l
    }
}

/// Strides in elements of a contiguous tensor of `shape`.
func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
}

/// Strides with which a contiguous tensor of `shape` reads as `target`: 0 where it repeats.
func broadcastStrides(_ shape: [Int], to target: [Int]) -> [Int] {
    let own = contiguousStrides(shape)
    let missing = target.count - shape.count
    return target.indices.map { axis in
        axis < missing || shape[axis - missing] == 1 ? 0 : own[axis - missing]
    }
}

/// A walk over two operands in step: axes merged where both are regular, so that inner loops are long.
struct PairedWalk {
    /// Extents of the merged axes but the last, which is `inner`.
    private var outerShape: [Int] = []
    private var outerLeft: [Int] = []
    private var outerRight: [Int] = []
    /// Elements of an inner loop, and whether each operand moves (1) or repeats (0) in it.
    private(set) var inner = 1
    private(set) var stepLeft = 0
    private(set) var stepRight = 0

    var rowCount: Int { outerShape.product }

    init(shape: [Int], left: [Int], right: [Int]) {
        var merged: [(extent: Int, left: Int, right: Int)] = []
        for axis in shape.indices.reversed() where shape[axis] != 1 {
            if let last = merged.last, left[axis] == last.left * last.extent, right[axis] == last.right * last.extent {
                merged[merged.count - 1].extent *= shape[axis]
            } else {
                merged.append((shape[axis], left[axis], right[axis]))
            }
        }
        guard let first = merged.first else { return }
        if first.left <= 1, first.right <= 1 {
            inner = first.extent
            stepLeft = first.left
            stepRight = first.right
            merged.removeFirst()
        }
        for axis in merged.reversed() {
            outerShape.append(axis.extent)
            outerLeft.append(axis.left)
            outerRight.append(axis.right)
        }
    }

    /// `body` of the offsets of each row in `rows`.
    func forEachRow(in rows: Range<Int>, _ body: (_ row: Int, _ left: Int, _ right: Int) -> Void) {
        var index = [Int](repeating: 0, count: outerShape.count)
        var left = 0
        var right = 0
        var rest = rows.lowerBound
        for axis in outerShape.indices.reversed() {
            index[axis] = rest % outerShape[axis]
            rest /= outerShape[axis]
            left += index[axis] * outerLeft[axis]
            right += index[axis] * outerRight[axis]
        }
        for row in rows {
            body(row, left, right)
            for axis in outerShape.indices.reversed() {
                left += outerLeft[axis]
                right += outerRight[axis]
                index[axis] += 1
                if index[axis] < outerShape[axis] { break }
                left -= outerLeft[axis] * outerShape[axis]
                right -= outerRight[axis] * outerShape[axis]
                index[axis] = 0
            }
        }
    }
}

extension Tensor {
    /// This tensor repeated along axes of extent 1, and along new ones in front, up to `target`.
    public func broadcast(to target: [Int]) throws -> Tensor {
        if target == shape { return self }
        guard try broadcastShape("broadcast", shape, target) == target else {
            throw shapeError("broadcast", shape, target, "an axis would shrink")
        }
        let output = copied(shape: target, strides: broadcastStrides(shape, to: target))
        let original = shape
        return record("broadcast", output, inputs: [self]) { gradient, _ in [try gradient.summed(to: original)] }
    }

    /// The adjoint of `broadcast`: sums over the axes that were repeated.
    func summed(to target: [Int]) throws -> Tensor {
        if target == shape { return self }
        let missing = rank - target.count
        let axes = shape.indices.filter { $0 < missing || target[$0 - missing] == 1 && shape[$0] != 1 }
        return try sum(axes: axes, keepsAxes: true).reshaped(target)
    }
}
