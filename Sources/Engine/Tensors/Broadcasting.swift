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

/// Strides with which a tensor of `shape` and `own` strides reads as `target`: 0 where it repeats.
func broadcastStrides(_ shape: [Int], _ own: [Int], to target: [Int]) -> [Int] {
    let missing = target.count - shape.count
    return target.indices.map { axis in
        axis < missing || shape[axis - missing] == 1 && target[axis] != 1 ? 0 : own[axis - missing]
    }
}

/// A walk over two operands in step: axes merged where both are regular, so that inner loops are long.
struct PairedWalk {
    /// Extents of the merged axes but the last, which is `inner`.
    private var outerShape: [Int] = []
    private var outerLeft: [Int] = []
    private var outerRight: [Int] = []
    /// Elements of an inner loop, and how far each operand moves in it: 1, or 0 if it repeats; more if it cannot be walked.
    private(set) var inner = 1
    private(set) var stepLeft = 0
    private(set) var stepRight = 0
    /// How far each operand moves from one row to the next of a run.
    var rowLeft: Int { outerLeft.last ?? 0 }
    var rowRight: Int { outerRight.last ?? 0 }

    var rowCount: Int { outerShape.product }

    init(shape: [Int], left: [Int], right: [Int]) {
        (outerShape, outerLeft, outerRight) = mergedAxes(shape.indices, of: shape, left, right)
        guard !outerShape.isEmpty else { return }
        inner = outerShape.removeLast()
        stepLeft = outerLeft.removeLast()
        stepRight = outerRight.removeLast()
    }

    /// `body` of runs of rows, `rowLeft` and `rowRight` apart, that make up `rows`.
    func forEachRun(in rows: Range<Int>, _ body: (_ row: Int, _ count: Int, _ left: Int, _ right: Int) -> Void) {
        guard let last = outerShape.indices.last else { return body(rows.lowerBound, rows.count, 0, 0) }
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
        var row = rows.lowerBound
        while row < rows.upperBound {
            let count = min(outerShape[last] - index[last], rows.upperBound - row)
            body(row, count, left, right)
            row += count
            left += count * outerLeft[last]
            right += count * outerRight[last]
            index[last] += count
            var axis = last
            while axis > 0, index[axis] == outerShape[axis] {
                left += outerLeft[axis - 1] - outerLeft[axis] * outerShape[axis]
                right += outerRight[axis - 1] - outerRight[axis] * outerShape[axis]
                index[axis] = 0
                axis -= 1
                index[axis] += 1
            }
        }
    }
}

extension Tensor {
    /// A view of this tensor repeated along axes of extent 1, and along new ones in front, up to `target`.
    public func broadcast(to target: [Int]) throws -> Tensor {
        if target == shape { return self }
        guard try broadcastShape("broadcast", shape, target) == target else {
            throw shapeError("broadcast", shape, target, "an axis would shrink")
        }
        let output = view(shape: target, strides: broadcastStrides(shape, strides, to: target))
        guard isRecorded(self) else { return output }
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
