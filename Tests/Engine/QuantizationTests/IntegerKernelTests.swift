import Basics
import Interchange
import TestSupport
import Tensors
import Testing

@testable import Quantization

/// A product with random and extreme values, and the sums that its definition gives.
private struct ProductCase {
    let rows: Int
    let outputs: Int
    let stride: Int
    let x: [UInt8]
    let weights: [Int8]
    let bias: [Int32]
    let scales: [Float]
    let sums: [Int]
    let input = QuantizationParameters(scale: 0.03, zero: 121)
    let output = QuantizationParameters(scale: 0.7, zero: 40)

    init(rows: Int, depth: Int, outputs: Int) {
        var random = Philox(seed: UInt64(rows * 1000 + depth))
        let stride = (depth + 3) / 4 * 4
        // Extremes are common, so that a path that saturates on the way would show.
        var x: [UInt8] = []
        for _ in 0..<(rows * stride) {
            x.append([255, 255, 0, UInt8(truncatingIfNeeded: random.nextWord())][random.nextIndex(below: 4)])
        }
        var weights: [Int8] = []
        for _ in 0..<(outputs * depth) {
            weights.append([127, -127, Int8(random.nextIndex(below: 255) - 127)][random.nextIndex(below: 3)])
        }
        var bias: [Int32] = []
        var scales: [Float] = []
        for _ in 0..<outputs {
            bias.append(Int32(random.nextIndex(below: 20001)) - 10000)
            scales.append(0.001 + random.nextUniform() * 0.01)
        }
        var sums: [Int] = []
        for r in 0..<rows {
            for o in 0..<outputs {
                var sum = Int(bias[o])
                for i in 0..<depth { sum += (Int(x[r * stride + i]) - 121) * Int(weights[o * depth + i]) }
                sums.append(sum)
            }
        }
        (self.rows, self.outputs, self.stride, self.x, self.weights, self.bias) = (
            rows, outputs, stride, x, weights, bias
        )
        (self.scales, self.sums) = (scales, sums)
    }

    func product(output: QuantizationParameters?, clips: Bool) -> IntegerProduct {
        IntegerProduct(
            weights: weights, outputs: outputs, bias: bias, weightScales: scales, input: input, output: output,
            clipsAtZero: clips)
    }

    func bytes(clips: Bool) -> [UInt8] {
        sums.enumerated().map { place, sum in
            let multiplier = Float(Double(input.scale) * Double(scales[place % outputs]) / Double(output.scale))
            let value = (Float(sum) * multiplier).rounded(.toNearestOrEven)
            return UInt8(min(max(value + 40, clips ? 40 : 0), 255))
        }
    }

    var floats: [Float] {
        sums.enumerated().map { Float($1) * Float(Double(input.scale) * Double(scales[$0 % outputs])) }
    }
}

/// Kernels are switched by a process-wide level, so these tests run one after the other.
@Suite(.serialized) struct IntegerKernelTests {
    @Test(arguments: [(1, 1, 1), (2, 25, 6), (9, 150, 16), (17, 400, 120), (8, 84, 10), (3, 33, 17), (16, 3, 33)])
    func everyPathGivesTheDefinitionsIntegers(_ rows: Int, _ depth: Int, _ outputs: Int) {
        let test = ProductCase(rows: rows, depth: depth, outputs: outputs)
        defer { KernelLevel.limit(to: 2) }
        for level in [2, 1, 0] {
            KernelLevel.limit(to: level)
            for clips in [false, true] {
                var bytes = [UInt8](repeating: 0, count: rows * outputs)
                test.product(output: test.output, clips: clips).runBytes(rows: rows, test.x, into: &bytes)
                #expect(bytes == test.bytes(clips: clips), "level \(level)")
            }
            var floats = [Float](repeating: 0, count: rows * outputs)
            test.product(output: nil, clips: false).runFloats(rows: rows, test.x, into: &floats)
            #expect(floats == test.floats, "level \(level)")
        }
    }

    @Test func aConvolutionGivesOnnxruntimesBytes() throws {
        let fixture = try #require(try onnxruntimeFixture()["convolution"])
        func integers(_ key: String) -> [Int] { (fixture[key]?.array ?? []).compactMap(\.integer) }
        func floats(_ key: String) -> [Float] {
            (fixture[key]?.array ?? [fixture[key] ?? JSONValue.null]).compactMap { $0.number.map { Float($0) } }
        }
        let scales = floats("input_scale") + floats("output_scale") + floats("output_scale")
        let tensors: [String: Tensor] = [
            "activation_scale": Tensor(scales), "activation_zero_point": Tensor([UInt8(119), 131, 131]),
            "0.weight": Tensor(integers("weights").map { Int8($0) }, shape: [4, 3, 3, 3]),
            "0.weight_scale": Tensor(floats("weight_scales")),
            "0.bias": Tensor(integers("bias").map { Int32($0) }),
        ]
        let network = try IntegerNetwork(
            architecture: .init(
                input: [3, 6, 5], layers: [.conv2d(inputs: 3, outputs: 4, kernel: 3, stride: 1, padding: 1), .flatten]),
            tensors: tensors, path: "fixture")
        let image = integers("image").map { network.activations[0].dequantize($0) }
        let bytes = network.run(image, count: 1).map { Int(($0 / 0.75).rounded()) + 131 }
        #expect(bytes == integers("output"))
    }
}
