import Basics
import Tensors
import Testing

@Suite struct TensorTests {
    private func message(_ body: () throws -> Tensor) -> String {
        do {
            _ = try body()
            return "no error"
        } catch { return (error as? MLOpsError)?.message ?? "\(error)" }
    }

    @Test func aShapeErrorNamesTheOperationAndBothShapes() {
        let (x, y) = (Tensor.zeros([2, 3]), Tensor.zeros([4, 5]))
        let images = Tensor.zeros([1, 3, 8, 8])
        let messages = [
            ("add", "[2, 3]", "[4, 5]", message { try x + y }),
            ("matmul", "[2, 3]", "[4, 5]", message { try x.matmul(y) }),
            ("linear", "[2, 3]", "[4, 5]", message { try x.linear(weight: y) }),
            ("reshape", "[2, 3]", "[4, 5]", message { try x.reshaped([4, 5]) }),
            ("concat", "[2, 3]", "[4, 5]", message { try Tensor.concatenated([x, y]) }),
            ("mse", "[2, 3]", "[4, 5]", message { try x.meanSquaredError(y) }),
            ("conv2d", "[1, 3, 8, 8]", "[4, 2, 3, 3]", message { try images.conv2d(weight: .zeros([4, 2, 3, 3])) }),
            ("maxPool2d", "[8, 8]", "[9, 9]", message { try images.maxPool2d(kernel: 9) }),
            (
                "batchNorm", "[1, 3, 8, 8]", "[4]",
                message { try images.batchNorm(weight: .zeros([4]), bias: nil).output }
            ),
            ("gather", "[2, 3]", "[4, 5]", message { try x.gather(axis: 0, .zeros([4, 5], dtype: .i64)) }),
            (
                "scatterAdd", "[2, 3]", "[1, 3]",
                message { try x.scatterAdd(axis: 0, .zeros([1, 3], dtype: .i64), .zeros([2, 3])) }
            ),
            ("where", "[2, 3]", "[4, 5]", message { try Tensor.where(x .> 0, x, y) }),
            ("equal", "[2, 3]", "[4, 5]", message { try x .== y }),
            ("einsum", "[2, 3]", "[4, 5]", message { try Tensor.einsum("ij,jk->ik", x, y) }),
            ("crossEntropy", "[2, 3]", "[3]", message { try x.crossEntropy(.zeros([3], dtype: .i64)) }),
        ]
        for (operation, left, right, text) in messages {
            #expect(text.contains("`\(operation)`") && text.contains(left) && text.contains(right), "\(text)")
        }
    }

    @Test func aDtypeErrorNamesTheOperationAndBothTypes() {
        let text = message { try Tensor.zeros([2]) + Tensor.zeros([2], dtype: .f64) }
        #expect(text.contains("`add`") && text.contains("f32") && text.contains("f64"), "\(text)")
        #expect(message { try Tensor.zeros([2], dtype: .i64).relu() }.contains("`relu`: i64 of shape [2]"))
    }

    @Test func aLabelOutOfRangeIsNamed() {
        let text = message { try Tensor.zeros([3, 4]).crossEntropy(Tensor([0, 4, 1] as [Int64])) }
        #expect(text == "`crossEntropy`: index 4 at position 1 is not in 0 ..< 4")
        #expect(message { try Tensor.zeros([3, 4]).gatherRows(Tensor([-1] as [Int64])) }.contains("index -1"))
    }

    @Test func anOperationWithoutABackwardRuleThrows() throws {
        let x = try Tensor([1, 2] as [Float]).requiringGradient()
        let rounded = Tensor.custom("round", output: Tensor([1, 2] as [Float]), inputs: [x], backward: nil)
        let text = message { try grad(of: (rounded * 2).sum(), with: [x])[0] }
        #expect(text == "operation `round` has no backward rule, so no gradient flows through it")
    }

    @Test func aGradientOfWhatDoesNotDependOnTheTargetThrows() throws {
        let (x, y) = (try Tensor(1).requiringGradient(), try Tensor(2).requiringGradient())
        #expect(message { try grad(of: x * 2, with: [y])[0] }.contains("does not depend on target 0"))
        #expect(message { try grad(of: x.detached, with: [x])[0] }.contains("does not depend on any variable"))
        #expect(message { try withoutGradients { try grad(of: x * 2, with: [x])[0] } }.contains("any variable"))
    }

    @Test func gradientsReachIntermediateResultsAndUseEachPathOnce() throws {
        let x = try Tensor(3, dtype: .f64).requiringGradient()
        let y = try x * x
        let z = try y * y + y
        let gradients = try grad(of: z, with: [x, y])
        #expect(try gradients[0].item() == 114)  // (2 · 9 + 1) · 6
        #expect(try gradients[1].item() == 19)
    }

    @Test func bytesComeBackAsTheyWentIn() throws {
        let bytes: [UInt8] = (0..<24).map { $0 }
        for type in DType.allCases {
            let bytes = type == .bool ? bytes.map { $0 % 2 } : bytes
            let tensor = try Tensor(bytes: bytes, shape: [24 / type.size], dtype: type)
            #expect(tensor.withUnsafeBytes { Array($0) } == bytes)
        }
        #expect(message { try Tensor(bytes: bytes, shape: [24], dtype: .bool) }.contains("byte 2 at 2 is neither"))
        #expect(message { try Tensor(bytes: bytes, shape: [5], dtype: .f32) }.contains("24 bytes are not a tensor"))
        #expect(message { try Tensor(bytes: bytes, shape: [-6], dtype: .f32) }.contains("shape [-6]"))
        #expect(message { try Tensor(bytes: bytes, shape: [.max, 2], dtype: .f32) }.contains("cannot have shape"))
    }

    @Test func conversionsSaturateAndCutTowardsZero() throws {
        let x = Tensor([1.9, -1.9, 300, -300, .nan, .infinity] as [Float])
        #expect(try x.cast(to: .u8).int64s() == [1, 0, 255, 0, 0, 255])
        #expect(try x.cast(to: .i8).int64s() == [1, -1, 127, -128, 0, 127])
        #expect(try x.cast(to: .i64).int64s()[5] > 1 << 62)
        #expect(try Tensor([0, 255] as [UInt8]).cast(to: .f32).floats() == [0, 255])
    }

    @Test func writingInPlaceLeavesCopiesAlone() {
        let original = Tensor([1, 2, 3] as [Float])
        var copy = original
        copy.withUnsafeMutableBytes { $0.storeBytes(of: 9, as: Float.self) }
        #expect(original.floats() == [1, 2, 3])
        #expect(copy.floats() == [9, 2, 3])
    }

    @Test func argmaxTakesTheFirstOfEqualsAndSeesNaN() throws {
        let x = Tensor([1, 3, 3, 5, .nan, 7] as [Float], shape: [2, 3])
        #expect(try x.argmax().int64s() == [1, 1])
        #expect(try x.argmax(axis: 0).int64s() == [1, 1, 1])
        #expect(try x.max(axis: 1).floats()[1].isNaN)
    }

    @Test func reluAndPoolingPassNaNOn() throws {
        let x = Tensor([.nan, 1, 2, 3] as [Float], shape: [1, 1, 2, 2])
        #expect(try x.relu().floats()[0].isNaN)
        #expect(try x.maxPool2d(kernel: 2).floats()[0].isNaN)
        #expect(!x.isFinite)
        #expect(try !Tensor([-.infinity, 0] as [Double]).isFinite && x.slice(axis: 3, 1..<2).isFinite)
    }

    @Test func integersAddAndSum() throws {
        let x = Tensor([1, 2, 3, 4] as [Int64], shape: [2, 2])
        #expect(try (x + x).int64s() == [2, 4, 6, 8])
        #expect(try (x * Tensor([10, 1] as [Int64])).int64s() == [10, 2, 30, 4])
        #expect(try x.sum(axes: [0]).int64s() == [4, 6])
        #expect(try x.sum().item() == 10)
    }

    @Test func longSumsKeepTheirPrecision() throws {
        let x = Tensor.full(0.1, [3_000_000])
        #expect(abs(try x.sum().item() - 300_000) < 0.3)
        #expect(abs(try x.mean().item() - 0.1) < 1e-7)
        #expect(abs(try x.reshaped([1_000_000, 3]).sum(axes: [0]).floats()[1] - 100_000) < 0.1)
    }

    @Test func emptyTensorsWork() throws {
        let empty = Tensor.zeros([0, 3])
        #expect(try (empty + Tensor.ones([3])).shape == [0, 3])
        #expect(try empty.sum(axes: [0]).floats() == [0, 0, 0])
        #expect(try empty.matmul(.ones([3, 2])).shape == [0, 2])
        #expect(try Tensor.zeros([2, 0]).matmul(.zeros([0, 3])).floats() == [0, 0, 0, 0, 0, 0])
    }
}
