/// Many tensors cut into pieces, small ones in one bundle: work on all of them takes one parallel region instead of one for
/// each. The cuts depend on the counts alone.
struct TensorBundle {
    /// Elements `range` of tensor number `tensor`.
    struct Piece {
        var tensor: Int
        var range: Range<Int>
    }

    private(set) var pieces: [Piece] = []
    private var bundles: [Range<Int>] = []

    /// - Parameter counts: of the elements of each tensor.
    init(counts: [Int]) {
        var first = 0
        var size = 0
        for (tensor, count) in counts.enumerated() {
            var start = 0
            while start < count {
                let end = min(count, start + elementwiseGrain)
                pieces.append(Piece(tensor: tensor, range: start..<end))
                size += end - start
                start = end
                if size >= elementwiseGrain {
                    bundles.append(first..<pieces.count)
                    (first, size) = (pieces.count, 0)
                }
            }
        }
        if first < pieces.count { bundles.append(first..<pieces.count) }
    }

    /// `body` of each piece and its number, on all threads.
    func forEachPiece(_ body: (_ number: Int, _ piece: Piece) -> Void) {
        guard !bundles.isEmpty else { return }
        inParallel(pieces: bundles.count) { bundle in
            for number in bundles[bundle] { body(number, pieces[number]) }
        }
    }
}

extension Tensor {
    /// Σ x² of each of `tensors` in double precision, in one parallel region; the same whatever the number of threads.
    package static func sumsOfSquares(_ tensors: [Tensor]) -> [Double] {
        let tensors = tensors.map { $0.dense() }
        let bundle = TensorBundle(counts: tensors.map(\.count))
        let partial = [Double](unsafeUninitializedCapacity: bundle.pieces.count) { sums, count in
            bundle.forEachPiece { number, piece in
                let tensor = tensors[piece.tensor]
                sums[number] = tensor.sumOfSquares(piece.range)
            }
            count = bundle.pieces.count
        }
        var sums = [Double](repeating: 0, count: tensors.count)
        for (piece, sum) in zip(bundle.pieces, partial) { sums[piece.tensor] += sum }
        return sums
    }
}
