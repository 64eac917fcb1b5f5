import Basics
import TestSupport
import Testing

@testable import Quantization

/// What onnxruntime 1.32 computed (Tests/Fixtures/quantization/make.py).
func onnxruntimeFixture() throws -> JSONValue {
    let tests = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
    let path = FileSystem.join(tests, "Fixtures/quantization/onnxruntime.json")
    return try JSONValue(parsing: try FileSystem.read(path), source: path)
}

@Suite struct QuantizationParametersTests {
    @Test func theGoldenNumbersOfTheConventionsHold() {
        let activations = QuantizationParameters.activationRange
        let unsigned = QuantizationParameters.asymmetric(low: -1.2, high: 3.4, range: activations)
        #expect(unsigned.zero == 67)
        #expect(Double(unsigned.scale) == 0.018039215356111526)
        let symmetric = QuantizationParameters.symmetric(low: -1.2, high: 3.4, range: -127...127)
        #expect(symmetric.zero == 0)
        #expect(Double(symmetric.scale) == 0.026771653443574905)
        let signed = QuantizationParameters.asymmetric(low: 0.5, high: 3.4, range: -128...127)
        #expect(signed.zero == -128)
        #expect(Double(signed.scale) == 0.013333333656191826)
        let nothing = QuantizationParameters.asymmetric(low: 0, high: 0, range: activations)
        #expect(nothing == QuantizationParameters(scale: 1, zero: 0))
    }

    @Test func rangesGiveOnnxruntimesParameters() throws {
        for item in try onnxruntimeFixture()["ranges"]?.array ?? [] {
            let low = try #require(item["low"]?.number)
            let high = try #require(item["high"]?.number)
            let isSymmetric = item["symmetric"]?.boolean == true
            let range = isSymmetric ? -127...127 : item["unsigned"]?.boolean == true ? 0...255 : -128...127
            let found =
                isSymmetric
                ? QuantizationParameters.symmetric(low: low, high: high, range: range)
                : QuantizationParameters.asymmetric(low: low, high: high, range: range)
            #expect(found.zero == item["zero"]?.integer, "\(low)...\(high)")
            #expect(Double(found.scale) == item["scale"]?.number, "\(low)...\(high)")
        }
    }

    @Test func valuesQuantizeAsInOnnxruntime() throws {
        let fixture = try #require(try onnxruntimeFixture()["quantize"])
        let x = (fixture["x"]?.array ?? []).compactMap { $0.number.map { Float($0) } }
        let y = (fixture["y"]?.array ?? []).compactMap(\.integer)
        let parameters = QuantizationParameters(scale: 0.25, zero: 7)
        #expect(x.count == 220)
        #expect(x.map { parameters.quantize($0, in: 0...255) } == y)
    }

    @Test func whatIsNoNumberBecomesZero() {
        let parameters = QuantizationParameters(scale: 0.5, zero: 9)
        #expect(parameters.quantize(.nan, in: 0...255) == 9)
        #expect(parameters.quantize(.infinity, in: 0...255) == 255)
        #expect(parameters.dequantize(9) == 0)
    }

    @Test func weightsHaveAScaleOfTheirOwnPerOutput() {
        let result = Quantizer.quantizeWeights([1, -2, 0.5, 0, 0, 0, 100, 50, -25], outputs: 3)
        #expect(result.values == [64, -127, 32, 0, 0, 0, 127, 64, -32])
        #expect(result.scales == [Float(2.0 / 127), 1, Float(100.0 / 127)])
    }
}

@Suite struct CalibrationTests {
    @Test func minmaxTakesTheWholeRange() {
        var observer = RangeObserver()
        observer.widen([-1, 0.5, 3])
        #expect(observer.range(.minmax) == -1...3)
    }

    @Test(arguments: [CalibrationMethod.percentile, .entropy])
    func aFewOutliersAreCut(_ method: CalibrationMethod) {
        var random = Philox(seed: 1)
        // A bell curve within about ±4, and one value far away.
        var values: [Float] = []
        for _ in 0..<400_000 {
            var sum: Float = -6
            for _ in 0..<12 { sum += random.nextUniform() }
            values.append(sum)
        }
        values.append(100)
        var observer = RangeObserver()
        observer.widen(values)
        observer.count(values)
        let range = observer.range(method)
        #expect(range.upperBound < 20, "\(range)")
        #expect(range.upperBound > 2)
        #expect(range.lowerBound <= -2)
    }

    @Test func aMethodIsFoundByName() throws {
        #expect(try CalibrationMethod(named: "entropy") == .entropy)
        let error = try #require(throws: MLOpsError.self) { try CalibrationMethod(named: "minmaxx") }
        #expect(error.hint == "did you mean `minmax`?")
    }
}
