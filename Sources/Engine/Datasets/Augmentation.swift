internal import Basics

/// One random change of training pictures; a recipe lists several, which are made in that order.
///
/// What an example looks like depends on seed, epoch and the example's number alone, never on the threads or on the batch. Pictures are
/// changed after normalisation: "black" is pixel 0 as the network sees it, and brightness, contrast and saturation count on the scale
/// 0...1. In JSON: `{"type": "crop", "padding": 4}`.
package enum Augmentation: Hashable, Sendable {
    /// Pads with `padding` black pixels on each side and cuts a random window of the old size.
    case crop(padding: Int)
    /// Mirrors left and right with `probability`.
    case flip(probability: Double = 0.5)
    /// Turns about the centre by an angle uniform in ±`degrees`, bilinear, black outside.
    case rotation(degrees: Double)
    /// Scales brightness, contrast and saturation, in this order, by factors uniform in `1 ± x` each; values stay in 0...1. Saturation
    /// needs three channels.
    case jitter(brightness: Double = 0, contrast: Double = 0, saturation: Double = 0)
    /// Sets a square of `size` pixels about a random centre to 0, the mean (DeVries and Taylor, arXiv:1708.04552); it may stick out.
    case cutout(size: Int)
    /// With `probability` mixes the example with another one of the training split, λ ~ Beta(alpha, alpha) (Zhang et al., ICLR 2018).
    case mixup(alpha: Double, probability: Double = 1)
    /// With `probability` puts a window of another example into this one, its area 1 − λ, λ ~ Beta(alpha, alpha) (Yun et al., ICCV 2019).
    case cutmix(alpha: Double = 1, probability: Double = 0.5)

    /// The name in JSON.
    package var name: String {
        switch self {
        case .crop: "crop"
        case .flip: "flip"
        case .rotation: "rotation"
        case .jitter: "jitter"
        case .cutout: "cutout"
        case .mixup: "mixup"
        case .cutmix: "cutmix"
        }
    }

    /// Whether targets become probabilities, `[batch, classes]` in place of labels `[batch]`.
    package var mixesTargets: Bool {
        switch self {
        case .mixup, .cutmix: true
        default: false
        }
    }

    /// Checks the numbers against examples of `shape`.
    ///
    /// - Throws: kind `.usage` naming the augmentation, the value and what is accepted.
    package func check(shape: [Int]) throws {
        func require(_ key: String, _ value: Double, in range: ClosedRange<Double>) throws {
            guard range.contains(value) else {
                let text = "\(Format.number(range.lowerBound))...\(Format.number(range.upperBound))"
                throw MLOpsError(
                    .usage,
                    "`\(key)` of augmentation `\(name)` is \(Format.number(value)), expected a number in \(text)")
            }
        }
        if case .mixup(let alpha, let probability) = self {
            try require("alpha", alpha, in: 0.001...1000)
            return try require("probability", probability, in: 0...1)
        }
        guard shape.count == 3, shape.allSatisfy({ $0 > 0 }) else {
            throw MLOpsError(
                .usage, "augmentation `\(name)` changes pictures, the examples have shape \(shape)",
                hint: "leave it out, or use `mixup`, which takes any numbers")
        }
        let side = Double(max(shape[1], shape[2]))
        switch self {
        case .crop(let padding): try require("padding", Double(padding), in: 1...side)
        case .flip(let probability): try require("probability", probability, in: 0...1)
        case .rotation(let degrees): try require("degrees", degrees, in: 0...180)
        case .jitter(let brightness, let contrast, let saturation):
            try require("brightness", brightness, in: 0...1)
            try require("contrast", contrast, in: 0...1)
            try require("saturation", saturation, in: 0...1)
            guard saturation == 0 || shape[0] == 3 else {
                throw MLOpsError(
                    .usage, "`saturation` of augmentation `jitter` needs 3 channels, the examples have \(shape[0])",
                    hint: "leave it out: grey pictures have none")
            }
        case .cutout(let size): try require("size", Double(size), in: 1...(2 * side))
        case .cutmix(let alpha, let probability):
            try require("alpha", alpha, in: 0.001...1000)
            try require("probability", probability, in: 0...1)
        case .mixup: break
        }
    }
}

extension Augmentation: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case type, padding, probability, degrees, brightness, contrast, saturation, size, alpha
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func number(_ key: CodingKeys, _ standard: Double? = nil) throws -> Double {
            if let standard { return try values.decodeIfPresent(Double.self, forKey: key) ?? standard }
            return try values.decode(Double.self, forKey: key)
        }
        switch try values.decode(String.self, forKey: .type) {
        case "crop": self = .crop(padding: try values.decode(Int.self, forKey: .padding))
        case "flip": self = .flip(probability: try number(.probability, 0.5))
        case "rotation": self = .rotation(degrees: try number(.degrees))
        case "jitter":
            self = .jitter(
                brightness: try number(.brightness, 0), contrast: try number(.contrast, 0),
                saturation: try number(.saturation, 0))
        case "cutout": self = .cutout(size: try values.decode(Int.self, forKey: .size))
        case "mixup": self = .mixup(alpha: try number(.alpha), probability: try number(.probability, 1))
        case "cutmix": self = .cutmix(alpha: try number(.alpha, 1), probability: try number(.probability, 0.5))
        case let other:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: values,
                debugDescription:
                    "`\(other)` is none of crop, flip, rotation, jitter, cutout, mixup and cutmix")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .type)
        switch self {
        case .crop(let padding): try values.encode(padding, forKey: .padding)
        case .flip(let probability): try values.encode(probability, forKey: .probability)
        case .rotation(let degrees): try values.encode(degrees, forKey: .degrees)
        case .jitter(let brightness, let contrast, let saturation):
            try values.encode(brightness, forKey: .brightness)
            try values.encode(contrast, forKey: .contrast)
            try values.encode(saturation, forKey: .saturation)
        case .cutout(let size): try values.encode(size, forKey: .size)
        case .mixup(let alpha, let probability), .cutmix(let alpha, let probability):
            try values.encode(alpha, forKey: .alpha)
            try values.encode(probability, forKey: .probability)
        }
    }
}
