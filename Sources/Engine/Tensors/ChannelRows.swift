internal import CKernels

/// A tensor seen as rows of channels: pictures that lie channels last, a row a pixel; or features, a row an example. Rows are cut
/// into pieces by their number alone; sums over them run in double, piece after piece.
struct ChannelRows: Sendable {
    let rows: Int
    let channels: Int
    let dtype: DType

    /// nil if a channel's values do not lie like this.
    init?(_ x: Tensor) {
        guard x.dtype == .f32 || x.dtype == .f64, x.isChannelsLast || x.rank == 2 && x.isContiguous else { return nil }
        channels = x.shape[1]
        rows = channels > 0 ? x.count / channels : 0
        dtype = x.dtype
    }

    /// What decides which gradients count: those whose output was inside 0 ..< `limit`.
    struct Gate {
        var scale: Tensor
        var shift: Tensor
        /// The output itself, where it cannot be computed from the input alone.
        var output: Tensor?
        var limit: Double
    }

    private var rowBytes: Int { channels * dtype.size }

    /// Rows of a piece: 64 KiB or more, so that its operands stay in the second cache; at most 32 pieces.
    private var grain: Int {
        max((rows + 31) / 32, 1, elementwiseGrain / max(1, channels))
    }

    /// Mean and biased variance of each channel.
    func statistics(of x: Tensor) -> (mean: [Double], variance: [Double]) {
        let pieces = perPiece(2) { part, own in
            ck_row_statistics(
                dtype.code, part.count, channels, x.base + part.lowerBound * rowBytes, own, own + channels)
        }
        var mean = [Double](repeating: 0, count: channels)
        var squares = mean
        var seen = 0.0
        for (index, own) in pieces.enumerated() {
            let count = Double(min(grain, rows - index * grain))
            let all = seen + count
            for c in 0..<channels {
                let between = own[own.startIndex + c] - mean[c]
                squares[c] += own[own.startIndex + channels + c] + between * between * seen * count / all
                mean[c] += between * count / all
            }
            seen = all
        }
        return (mean, squares.map { $0 / Double(rows) })
    }

    /// activation(x · scale + shift + residual)
    func affine(
        _ x: Tensor, scale: Tensor, shift: Tensor, adding residual: Tensor? = nil, activation: FusedActivation = .none
    ) -> Tensor {
        Tensor(shape: x.shape, dtype: dtype, layout: x.layout) { out in
            inParallel(rows, grain: grain) { part in
                let offset = part.lowerBound * rowBytes
                ck_row_affine(
                    dtype.code, part.count, channels, x.base + offset, scale.pointer, shift.pointer,
                    residual.map { $0.base + offset }, activation.limit == nil ? 0 : 1, activation.limit ?? 0,
                    out + offset)
            }
        }
    }

    /// Σ g and Σ g·(x - mean) of each channel, and with a gate by the output the g that counted.
    func products(
        _ g: Tensor, _ x: Tensor, mean: Tensor, gate: Gate?
    ) -> (sums: [Double], products: [Double], counted: Tensor) {
        let counted = gate?.output == nil ? g : Tensor(shape: x.shape, dtype: dtype, layout: x.layout) { _ in }
        let pieces = perPiece(2) { part, own in
            let offset = part.lowerBound * rowBytes
            ck_row_products(
                dtype.code, part.count, channels, g.base + offset, x.base + offset, mean.pointer, gate == nil ? 0 : 1,
                gate?.scale.pointer, gate?.shift.pointer, gate?.output.map { $0.base + offset }, gate?.limit ?? 0,
                counted.storage.pointer + offset, own, own + channels)
        }
        let total = sum(pieces, 2 * channels)
        return (Array(total[..<channels]), Array(total[channels...]), counted)
    }

    /// g · a + x · b + d, with g as `gate` lets it count.
    func combine(_ g: Tensor, _ x: Tensor, a: Tensor, b: Tensor, d: Tensor, gate: Gate?) -> Tensor {
        Tensor(shape: x.shape, dtype: dtype, layout: x.layout) { out in
            inParallel(rows, grain: grain) { part in
                let offset = part.lowerBound * rowBytes
                ck_row_combine(
                    dtype.code, part.count, channels, g.base + offset, x.base + offset, a.pointer, b.pointer,
                    d.pointer, gate == nil ? 0 : 1, gate?.scale.pointer, gate?.shift.pointer, gate?.limit ?? 0,
                    out + offset)
            }
        }
    }

    /// The sum of each channel.
    func sums(of x: Tensor) -> [Double] {
        sum(
            perPiece(1) { part, own in
                ck_row_sums(dtype.code, part.count, channels, x.base + part.lowerBound * rowBytes, own)
            }, channels)
    }

    /// `count` doubles a channel for each piece of rows, which `body` fills.
    private func perPiece(
        _ count: Int, _ body: (Range<Int>, UnsafeMutablePointer<Double>) -> Void
    ) -> [ArraySlice<Double>] {
        let length = count * channels
        let pieces = (rows + grain - 1) / grain
        let values = [Double](unsafeUninitializedCapacity: pieces * length) { buffer, used in
            used = pieces * length
            guard let start = buffer.baseAddress else { return }
            inParallel(rows, grain: grain) { body($0, start + $0.lowerBound / grain * length) }
        }
        return (0..<pieces).map { values[$0 * length..<($0 + 1) * length] }
    }

    private func sum(_ pieces: [ArraySlice<Double>], _ length: Int) -> [Double] {
        var total = [Double](repeating: 0, count: length)
        for own in pieces { for i in 0..<length { total[i] += own[own.startIndex + i] } }
        return total
    }
}
