internal import Basics

/// What is put around a tensor.
public enum PaddingMode: Sendable, Hashable {
    case constant(Double)
    /// Mirrored at the edge, which is not repeated.
    case reflect
    /// The edge repeated.
    case replicate
    /// From the other side.
    case circular
}

extension Tensor {
    /// Elements put before and after each axis.
    ///
    /// - Parameter widths: for each of the last axes how many, outermost first.
    public func padded(_ widths: [(before: Int, after: Int)], mode: PaddingMode = .constant(0)) throws -> Tensor {
        guard widths.count <= rank else {
            throw shapeError("pad", shape, "\(widths.count) widths are more than the axes")
        }
        var result = self
        for (position, width) in widths.enumerated() where width != (0, 0) {
            let axis = rank - widths.count + position
            if case .constant(let value) = mode {
                result = try result.padded(axis: axis, before: width.before, after: width.after, value: value)
            } else {
                result = try result.indexSelect(axis: axis, paddingIndices(axis, width, mode))
            }
        }
        return result
    }

    private func paddingIndices(_ axis: Int, _ width: (before: Int, after: Int), _ mode: PaddingMode) throws -> Tensor {
        let extent = shape[axis]
        let most = mode == .reflect ? extent - 1 : mode == .circular ? extent : extent == 0 ? 0 : Int.max
        guard (0...Swift.max(0, most)).contains(width.before), (0...Swift.max(0, most)).contains(width.after) else {
            throw shapeError("pad", shape, "\(width) of axis \(axis) is not within what \(mode) can give")
        }
        return Tensor(
            (-width.before..<extent + width.after).map { place -> Int64 in
                switch mode {
                case .reflect: Int64(place < 0 ? -place : place >= extent ? 2 * (extent - 1) - place : place)
                case .circular: Int64((place + extent) % extent)
                default: Int64(Swift.min(Swift.max(place, 0), extent - 1))
                }
            })
    }
}
