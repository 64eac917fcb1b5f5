internal import Basics

/// Makes the changed examples of an epoch: a list of augmentations, bound to examples and a seed.
struct Augmenter: Sendable {
    private let examples: ExampleSet
    private let augmentations: [Augmentation]
    private let normalisation: PixelNormalisation
    private let key: UInt64

    init(_ augmentations: [Augmentation], examples: ExampleSet, seed: UInt64) {
        self.examples = examples
        self.augmentations = augmentations
        if case .pixels(_, let normalisation) = examples.features {
            self.normalisation = normalisation
        } else {
            normalisation = PixelNormalisation(mean: 0, deviation: 1)
        }
        var generator = Philox(seed: seed, stream: "augmentation")
        key = generator.next()
    }

    /// With whom an example was mixed.
    struct Mixture {
        var partner: Int
        /// The share of the example itself.
        var share: Float
    }

    /// Writes the example at `index` as `epoch` sees it; nil if it is not mixed with another.
    func write(
        _ index: Int, epoch: Int, to output: UnsafeMutableBufferPointer<Float>,
        scratch: UnsafeMutableBufferPointer<Float>, partner: UnsafeMutableBufferPointer<Float>
    ) -> Mixture? {
        var random = generator(index, epoch)
        writeAlone(index, to: output, scratch: scratch, random: &random)
        for augmentation in augmentations {
            switch augmentation {
            case .mixup(let alpha, let probability):
                guard occurs(probability, &random) else { continue }
                let other = random.nextIndex(below: examples.count)
                let share = Float(random.nextBeta(alpha))
                writeOther(other, epoch, to: partner, scratch: scratch)
                for k in output.indices { output[k] = share * output[k] + (1 - share) * partner[k] }
                return Mixture(partner: other, share: share)
            case .cutmix(let alpha, let probability):
                guard occurs(probability, &random) else { continue }
                let other = random.nextIndex(below: examples.count)
                let area = 1 - random.nextBeta(alpha)
                writeOther(other, epoch, to: partner, scratch: scratch)
                return Mixture(partner: other, share: paste(partner, into: output, area: area, random: &random))
            default: continue
            }
        }
        return nil
    }

    /// The partner of a mixture looks as it does in this epoch, but for mixing.
    private func writeOther(
        _ index: Int, _ epoch: Int, to output: UnsafeMutableBufferPointer<Float>,
        scratch: UnsafeMutableBufferPointer<Float>
    ) {
        var random = generator(index, epoch)
        writeAlone(index, to: output, scratch: scratch, random: &random)
    }

    private func generator(_ index: Int, _ epoch: Int) -> Philox {
        Philox(seed: key, stream: UInt64(truncatingIfNeeded: epoch) << 40 | UInt64(index))
    }

    private func writeAlone(
        _ index: Int, to output: UnsafeMutableBufferPointer<Float>, scratch: UnsafeMutableBufferPointer<Float>,
        random: inout Philox
    ) {
        examples.gather(CollectionOfOne(index), into: output)
        guard examples.shape.count == 3, augmentations.contains(where: { !$0.mixesTargets }) else { return }
        let picture = PictureBuffer(
            shape: examples.shape, normalisation: normalisation, values: output, scratch: scratch)
        for augmentation in augmentations { apply(augmentation, to: picture, &random) }
    }

    private func apply(_ augmentation: Augmentation, to picture: PictureBuffer, _ random: inout Philox) {
        switch augmentation {
        case .crop(let padding):
            let top = random.nextIndex(below: 2 * padding + 1) - padding
            let left = random.nextIndex(below: 2 * padding + 1) - padding
            if top != 0 || left != 0 { picture.shift(top: top, left: left) }
        case .flip(let probability):
            if occurs(probability, &random) { picture.flip() }
        case .rotation(let degrees):
            picture.rotate(by: (2 * random.nextUniformDouble() - 1) * degrees * Double.pi / 180)
        case .jitter(let brightness, let contrast, let saturation):
            func factor(_ strength: Double) -> Float { 1 + Float(strength) * (2 * random.nextUniform() - 1) }
            if brightness > 0 { picture.brighten(by: factor(brightness)) }
            if contrast > 0 { picture.contrast(by: factor(contrast)) }
            if saturation > 0 { picture.saturate(by: factor(saturation)) }
        case .cutout(let size):
            let top = random.nextIndex(below: picture.height) - size / 2
            let left = random.nextIndex(below: picture.width) - size / 2
            picture.erase(
                rows: (top..<(top + size)).clamped(to: 0..<picture.height),
                columns: (left..<(left + size)).clamped(to: 0..<picture.width))
        case .mixup, .cutmix: break
        }
    }

    private func occurs(_ probability: Double, _ random: inout Philox) -> Bool {
        random.nextUniformDouble() < probability
    }

    /// Copies a window of about the share `area` of `source` about a random centre; the share of `target` that is left.
    private func paste(
        _ source: UnsafeMutableBufferPointer<Float>, into target: UnsafeMutableBufferPointer<Float>, area: Double,
        random: inout Philox
    ) -> Float {
        let (height, width) = (examples.shape[1], examples.shape[2])
        let side = area.squareRoot()
        let (boxHeight, boxWidth) = (Int(Double(height) * side), Int(Double(width) * side))
        let top = random.nextIndex(below: height) - boxHeight / 2
        let left = random.nextIndex(below: width) - boxWidth / 2
        let rows = (top..<(top + boxHeight)).clamped(to: 0..<height)
        let columns = (left..<(left + boxWidth)).clamped(to: 0..<width)
        for row in 0..<(examples.shape[0] * height) where rows.contains(row % height) {
            for column in columns { target[row * width + column] = source[row * width + column] }
        }
        return 1 - Float(rows.count * columns.count) / Float(height * width)
    }
}
