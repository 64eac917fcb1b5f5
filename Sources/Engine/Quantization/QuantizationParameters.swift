internal import Basics

/// The affine map between reals and 8-bit integers: `real = scale · (integer − zero)`.
///
/// The formulas are those of onnxruntime's `quant_utils` (reference: its documentation "Quantize ONNX models"): scales are
/// worked out in double and kept as float.
package struct QuantizationParameters: Hashable, Sendable {
    package var scale: Float
    package var zero: Int

    package init(scale: Float, zero: Int) {
        self.scale = scale
        self.zero = zero
    }

    /// Asymmetric parameters for `low...high`, widened to contain 0, on the integers `range`.
    ///
    /// An interval too narrow for a normal scale gives scale 1 and zero 0.
    package static func asymmetric(low: Double, high: Double, range: ClosedRange<Int>) -> QuantizationParameters {
        let low = min(low, 0)
        let high = max(high, 0)
        let scale = (high - low) / Double(range.upperBound - range.lowerBound)
        guard scale.isFinite, scale >= Double(Float.leastNormalMagnitude) else {
            return QuantizationParameters(scale: 1, zero: 0)
        }
        let zero = (Double(range.lowerBound) - low / scale).rounded(.toNearestOrEven)
        return QuantizationParameters(scale: Float(scale), zero: Int(zero))
    }

    /// Symmetric parameters for `-m...m`, m the larger of both ends' magnitudes.
    package static func symmetric(low: Double, high: Double, range: ClosedRange<Int>) -> QuantizationParameters {
        let most = max(abs(low), abs(high))
        let scale = 2 * most / Double(range.upperBound - range.lowerBound)
        guard scale.isFinite, scale >= Double(Float.leastNormalMagnitude) else {
            return QuantizationParameters(scale: 1, zero: 0)
        }
        let zero = (Double(range.upperBound + range.lowerBound) / 2).rounded(.toNearestOrEven)
        return QuantizationParameters(scale: Float(scale), zero: Int(zero))
    }

    /// The integer for `value`, rounded half to even and clamped to `range`.
    package func quantize(_ value: Float, in range: ClosedRange<Int>) -> Int {
        let steps = (value / scale).rounded(.toNearestOrEven)
        guard !steps.isNaN else { return zero }
        let clamped = min(max(steps, Float(range.lowerBound - zero)), Float(range.upperBound - zero))
        return Int(clamped) + zero
    }

    package func dequantize(_ value: Int) -> Float { Float(value - zero) * scale }

    /// Activations: unsigned bytes.
    package static let activationRange = 0...255
    /// Weights: signed bytes without −128, so that a weight and its negative are equally exact.
    package static let weightRange = -127...127
}
