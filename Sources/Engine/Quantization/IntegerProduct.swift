internal import Basics
internal import CKernels

/// The weights of one linear or convolution layer in 8 bits, ready for the kernels; immutable.
final class IntegerProduct: Sendable {
    let outputs: Int
    let depth: Int
    private let packed: [Int8]
    private let bias: [Int32]
    private let multiplier: [Float]
    private let zero: Int32
    private let low: Int32

    /// Sums of products fit 32 bits up to this depth, whatever the values.
    static let maximumDepth = 32768

    /// - Parameters:
    ///   - weights: `[outputs, depth]`, each in −127...127.
    ///   - bias: `[outputs]` with scale `input.scale · weightScales[o]`.
    ///   - output: nil for a last layer, whose outputs are floats.
    ///   - clipsAtZero: whether the next layer is a ReLU that this one carries out.
    init(
        weights: [Int8], outputs: Int, bias: [Int32], weightScales: [Float], input: QuantizationParameters,
        output: QuantizationParameters?, clipsAtZero: Bool
    ) {
        self.outputs = outputs
        depth = weights.count / outputs
        precondition(depth <= IntegerProduct.maximumDepth, "depth \(depth) may overflow")
        var packed = [Int8](repeating: 0, count: ck_q_packed_size(outputs, depth))
        ck_q_pack(outputs, depth, weights, &packed)
        self.packed = packed
        // Σ (x − z)·w + b = Σ x·w + (b − z·Σ w)
        var folded = bias
        for o in 0..<outputs {
            let sum = weights[(o * depth)..<((o + 1) * depth)].reduce(Int32(0)) { $0 + Int32($1) }
            folded[o] = bias[o] &- Int32(input.zero) &* sum
        }
        self.bias = folded
        multiplier = weightScales.map { scale in
            let product = Double(input.scale) * Double(scale)
            return Float(output.map { product / Double($0.scale) } ?? product)
        }
        zero = Int32(output?.zero ?? 0)
        low = clipsAtZero ? zero : 0
    }

    /// Bytes between the rows that `runBytes` and `runFloats` read: the depth, rounded up to 4.
    var stride: Int { (depth + 3) / 4 * 4 }

    func runBytes(rows: Int, _ x: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<UInt8>) {
        withProduct { product in ck_q_product_u8(product, rows, stride, x, out) }
    }

    func runFloats(rows: Int, _ x: UnsafePointer<UInt8>, into out: UnsafeMutablePointer<Float>) {
        withProduct { product in ck_q_product_f32(product, rows, stride, x, out) }
    }

    private func withProduct(_ body: (UnsafePointer<ck_q_product>) -> Void) {
        packed.withUnsafeBufferPointer { packed in
            bias.withUnsafeBufferPointer { bias in
                multiplier.withUnsafeBufferPointer { multiplier in
                    var product = ck_q_product(
                        outputs: outputs, depth: depth, weights: packed.baseAddress, bias: bias.baseAddress,
                        multiplier: multiplier.baseAddress, zero: zero, low: low)
                    body(&product)
                }
            }
        }
    }
}
