internal import CKernels

/// Copies (or adds, for floats) elements of `shape` from one strided place to another; neither may overlap the other.
///
/// - Parameters:
///   - size: bytes of an element.
///   - adds: the dtype if elements are added to what is there, nil if they replace it.
func copyStrided(
    _ shape: [Int], size: Int, from source: UnsafeRawPointer, _ sourceStrides: [Int],
    to target: UnsafeMutableRawPointer, _ targetStrides: [Int], adds: DType?
) {
    guard shape.product > 0 else { return }
    let walk = CopyWalk(shape, sourceStrides, targetStrides)
    let rows = walk.shape.dropLast().reduce(1, *)
    let inner = walk.shape.last ?? 1
    // Where the source is contiguous along another axis than the target, a tile of both is copied at a time.
    let tiled = adds == nil && walk.isTransposition
    let tile = 32
    let height = tiled ? walk.shape[walk.shape.count - 2] : 1
    let blocks = tiled ? (height + tile - 1) / tile : 1
    let jobs = tiled ? rows / height * blocks : rows
    let work = tiled ? inner * tile : inner
    inParallel(jobs, grain: max(1, elementwiseGrain / work)) { part in
        if let adds {
            ck_add_strided(
                adds.code, Int32(walk.shape.count), walk.shape, walk.source, walk.target, part.lowerBound,
                part.upperBound, source, target)
        } else if tiled {
            ck_copy_tiles(
                size, tile, Int32(walk.shape.count), walk.shape, walk.source, walk.target, part.lowerBound,
                part.upperBound, source, target)
        } else {
            ck_copy_strided(
                size, Int32(walk.shape.count), walk.shape, walk.source, walk.target, part.lowerBound, part.upperBound,
                source, target)
        }
    }
}

/// The axes of a copy in the order of the target's memory, merged where both sides are regular.
private struct CopyWalk {
    var shape: [Int] = []
    var source: [Int] = []
    var target: [Int] = []

    init(_ extents: [Int], _ from: [Int], _ to: [Int]) {
        let axes = extents.indices.filter { extents[$0] != 1 }.sorted { to[$0] == to[$1] ? $0 < $1 : to[$0] > to[$1] }
        (shape, source, target) = mergedAxes(axes, of: extents, from, to)
        precondition(shape.count <= 16, "a copy along \(shape.count) axes; at most 16 are possible")
        guard let last = shape.indices.last, source[last] != 1, let unit = source.firstIndex(of: 1) else { return }
        // The source's contiguous axis goes next to the target's.
        shape.insert(shape.remove(at: unit), at: last - 1)
        source.insert(source.remove(at: unit), at: last - 1)
        target.insert(target.remove(at: unit), at: last - 1)
    }

    /// Whether the source is contiguous along the last axis but one.
    var isTransposition: Bool {
        guard shape.count >= 2 else { return false }
        return source[shape.count - 1] != 1 && source[shape.count - 2] == 1
    }
}
