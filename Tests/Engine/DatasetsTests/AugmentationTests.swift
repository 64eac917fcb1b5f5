import Basics
import Datasets
import Tensors
import TestSupport
import Testing

/// 12 pictures of random bytes, classes 0 to 2.
private func pictures(channels: Int = 3, side: Int = 8) -> ExampleSet {
    var random = Philox(seed: 5)
    let pixels = (0..<(12 * channels * side * side)).map { _ in UInt8(random.nextIndex(below: 256)) }
    return ExampleSet(
        shape: [channels, side, side],
        features: .pixels(
            pixels,
            normalisation: PixelNormalisation(fitting: pixels, shape: [channels, side, side])),
        labels: (0..<12).map { $0 % 3 })
}

private let everything: [Augmentation] = [
    .crop(padding: 2), .flip(), .rotation(degrees: 20), .jitter(brightness: 0.3, contrast: 0.3, saturation: 0.3),
    .cutout(size: 3), .mixup(alpha: 0.4, probability: 0.5), .cutmix(),
]

@Suite struct AugmentationTests {
    private func batches(
        _ augmentations: [Augmentation], epoch: Int, batches: [[Int]], threads: Int, examples: ExampleSet = pictures()
    ) throws -> [LoadedBatch] {
        let loader = try ExampleLoader(
            examples, augmentations: augmentations, classCount: 3, seed: 9, threads: threads)
        loader.begin(epoch: epoch, batches: batches)
        return try batches.map { try loader.batch($0) }
    }

    private func example(_ augmentation: Augmentation, _ examples: ExampleSet, epoch: Int, index: Int) throws -> [Float]
    {
        let loader = try ExampleLoader(examples, augmentations: [augmentation], classCount: 3, seed: 9, threads: 0)
        loader.begin(epoch: epoch, batches: [])
        return try loader.batch([index]).inputs.floats()
    }

    @Test func anExampleLooksTheSameWhateverTheBatchAndTheThreads() throws {
        let size = 3 * 8 * 8
        let order = [[3, 1, 4], [5, 9, 2], [6, 0, 7], [8, 10, 11]]
        let plain = try batches(everything, epoch: 2, batches: order, threads: 0)
        for threads in [1, 3] {
            for (left, right) in zip(plain, try batches(everything, epoch: 2, batches: order, threads: threads)) {
                #expect(left.inputs.isIdentical(to: right.inputs) && left.targets.isIdentical(to: right.targets))
            }
        }
        let alone = try batches(everything, epoch: 2, batches: [[2]], threads: 1)[0]
        #expect(alone.inputs.floats() == Array(plain[1].inputs.floats()[(2 * size)...]))
        let next = try batches(everything, epoch: 3, batches: order, threads: 1)
        #expect(!plain[0].inputs.isIdentical(to: next[0].inputs))
    }

    @Test func aCropIsAWindowOfThePaddedPicture() throws {
        let examples = pictures(channels: 1)
        let plain = examples.floats(at: [4])
        let black =
            (0 - (try #require(normalisation(examples))).mean(0)) / (try #require(normalisation(examples))).deviation(0)
        var seen: Set<Int> = []
        for epoch in 1...40 {
            let found = try example(.crop(padding: 1), examples, epoch: epoch, index: 4)
            let offset = (0..<9).first { offset in
                let (top, left) = (offset / 3 - 1, offset % 3 - 1)
                return (0..<64).allSatisfy { k in
                    let (y, x) = (k / 8 + top, k % 8 + left)
                    let isInside = (0..<8).contains(y) && (0..<8).contains(x)
                    return found[k] == (isInside ? plain[y * 8 + x] : Float(black))
                }
            }
            seen.insert(try #require(offset))
        }
        #expect(seen.count == 9)
    }

    @Test func halfOfThePicturesAreMirrored() throws {
        let examples = pictures()
        var count = 0
        for epoch in 1...100 {
            let found = try example(.flip(), examples, epoch: epoch, index: 7)
            let plain = examples.floats(at: [7])
            let mirrored = (0..<24).flatMap { row in plain[(row * 8)..<(row * 8 + 8)].reversed() }
            #expect(found == plain || found == mirrored)
            if found == mirrored { count += 1 }
        }
        #expect((35...65).contains(count))
    }

    @Test func aTurnByNothingChangesNothingAndCutoutErasesASquare() throws {
        let examples = pictures()
        let turned = try example(.rotation(degrees: 0), examples, epoch: 1, index: 1)
        for (a, b) in zip(turned, examples.floats(at: [1])) { #expect(abs(a - b) < 1e-5) }
        var areas: Set<Int> = []
        for epoch in 1...30 {
            let cut = try example(.cutout(size: 4), examples, epoch: epoch, index: 1)
            areas.insert(zip(cut, examples.floats(at: [1])).count { $0 == 0 && $1 != 0 })
        }
        #expect(areas.max() == 3 * 16 && (areas.min() ?? 0) >= 3 * 4)
    }

    @Test func aMixtureAndItsTargetHaveTheSameShares() throws {
        let examples = pictures()
        let batch = try batches([.mixup(alpha: 1)], epoch: 1, batches: [Array(0..<12)], threads: 1)[0]
        #expect(batch.targets.dtype == .f32 && batch.targets.shape == [12, 3])
        let targets = batch.targets.floats()
        let inputs = batch.inputs.floats()
        for row in 0..<12 {
            #expect(abs(targets[(row * 3)..<(row * 3 + 3)].reduce(0, +) - 1) < 1e-6)
            // Some partner explains the whole picture with one share.
            let mixed = Array(inputs[(row * 192)..<((row + 1) * 192)])
            let target = targets[row * 3 + examples.labels[row]]
            let fits = (0..<12).contains { explains(mixed, target, examples, row, $0) }
            #expect(fits, "row \(row)")
        }
    }

    /// Whether `mixed` is one share of example `row` and the rest of `other`, and `target` that share.
    private func explains(
        _ mixed: [Float], _ target: Float, _ examples: ExampleSet, _ row: Int, _ other: Int
    ) -> Bool {
        let (own, partner) = (examples.floats(at: [row]), examples.floats(at: [other]))
        if other == row { return zip(mixed, own).allSatisfy { abs($0 - $1) < 1e-5 } && target > 0.999 }
        let differences = zip(own, partner).map { abs($0 - $1) }
        guard let largest = differences.indices.max(by: { differences[$0] < differences[$1] }) else { return false }
        let share = (mixed[largest] - partner[largest]) / (own[largest] - partner[largest])
        let expected: Float = examples.labels[other] == examples.labels[row] ? 1 : share
        guard abs(target - expected) < 1e-4 else { return false }
        return mixed.indices.allSatisfy { k in
            let value: Float = share * own[k] + (1 - share) * partner[k]
            return abs(mixed[k] - value) < 1e-4
        }
    }

    @Test func cutmixGivesTheTargetTheShareOfTheArea() throws {
        let examples = pictures(channels: 1)
        let batch = try batches(
            [.cutmix(alpha: 1, probability: 1)], epoch: 1, batches: [Array(0..<12)], threads: 1, examples: examples)[0]
        let (inputs, targets) = (batch.inputs.floats(), batch.targets.floats())
        for row in 0..<12 {
            let kept = zip(inputs[(row * 64)..<((row + 1) * 64)], examples.floats(at: [row])).count { $0 == $1 }
            let share = targets[row * 3 + examples.labels[row]]
            #expect(share > 0.999 || abs(Float(kept) / 64 - share) < 0.04, "row \(row)")
        }
    }

    @Test func sharesOfMixturesFollowTheBetaDistribution() throws {
        // Var Beta(a, a) = 1 / (4 (2a + 1)); one label is 1 so that the target shows λ.
        let set = ExampleSet(shape: [1], features: .floats([0, 1]), labels: [0, 1])
        for alpha in [0.2, 1, 4] {
            var shares: [Double] = []
            let loader = try ExampleLoader(
                set, augmentations: [.mixup(alpha: alpha)], classCount: 2, seed: 3, threads: 0)
            for epoch in 1...4000 {
                loader.begin(epoch: epoch, batches: [])
                let batch = try loader.batch([0])
                let share = Double(batch.targets.floats()[0])
                // Half of the partners are the example itself: then the target is whole.
                if share < 1 || batch.inputs.floats()[0] != 0 { shares.append(share) }
            }
            let mean = shares.reduce(0, +) / Double(shares.count)
            let variance = shares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(shares.count)
            #expect(abs(mean - 0.5) < 0.04, "alpha \(alpha): mean \(mean)")
            let expected = 1 / (4 * (2 * alpha + 1))
            #expect(
                abs(variance - expected) < 0.1 * expected + 0.004, "alpha \(alpha): \(variance), expected \(expected)")
        }
    }

    @Test func augmentationsSurviveJSONAndRefuseWhatTheyCannotDo() throws {
        let json = try JSONValue(encoding: everything)
        let copy: [Augmentation] = try json.decode()
        #expect(copy == everything)
        let short: Augmentation = try JSONValue.object(["type": "cutmix"]).decode()
        #expect(short == .cutmix(alpha: 1, probability: 0.5))
        #expect(throws: DecodingError.self) {
            let _: Augmentation = try JSONValue.object(["type": "cutmax"]).decode()
        }
        let grey = try #require(throws: MLOpsError.self) {
            try Augmentation.jitter(saturation: 0.5).check(shape: [1, 8, 8])
        }
        #expect(grey.message == "`saturation` of augmentation `jitter` needs 3 channels, the examples have 1")
        let table = try #require(throws: MLOpsError.self) { try Augmentation.flip().check(shape: [30]) }
        #expect(table.message.contains("`flip` changes pictures, the examples have shape [30]"))
        let wide = try #require(throws: MLOpsError.self) { try Augmentation.crop(padding: 9).check(shape: [1, 8, 8]) }
        #expect(wide.message == "`padding` of augmentation `crop` is 9, expected a number in 1...8")
    }

    private func normalisation(_ examples: ExampleSet) -> PixelNormalisation? {
        guard case .pixels(_, let normalisation) = examples.features else { return nil }
        return normalisation
    }
}

@Suite struct LoaderTests {
    @Test func withoutAugmentationABatchIsTheExamples() throws {
        let examples = pictures()
        let loader = try ExampleLoader(examples, classCount: 3, seed: 1)
        loader.begin(epoch: 1, batches: [[1, 0], [5, 2]])
        #expect(try loader.batch([1, 0]).inputs.isIdentical(to: examples.batch(at: [1, 0])))
        // What was not planned is made at once and does not disturb the plan.
        #expect(try loader.batch([7]).targets.int64s() == [1])
        #expect(try loader.batch([5, 2]).inputs.isIdentical(to: examples.batch(at: [5, 2])))
        #expect(try loader.batch([5, 2]).targets.int64s() == [2, 2])
    }

    @Test func anEpochThatIsGivenUpLeavesNoThreadBehind() throws {
        let examples = pictures()
        for _ in 0..<200 {
            let loader = try ExampleLoader(examples, augmentations: everything, classCount: 3, seed: 1, threads: 2)
            loader.begin(epoch: 1, batches: (0..<50).map { [$0 % 12] })
            _ = try loader.batch([0])
        }
    }

    @Test func noMoreIsMadeAheadThanAllowedAndErrorsComeInTheirTurn() throws {
        struct Fault: Error {}
        let made = Counter()
        let prefetch = Prefetch(count: 100, threads: 2, ahead: 3) { index in
            made.increment()
            if index == 50 { throw Fault() }
            return index
        }
        for index in 0..<50 {
            #expect(try prefetch.next() == index)
            #expect(made.value <= index + 1 + 3)
        }
        #expect(throws: Fault.self) { try prefetch.next() }
        #expect(try prefetch.next() == 51)
    }
}

@Suite struct SplitTests {
    @Test func foldsShareTheClassesEqually() throws {
        let labels = (0..<103).map { $0 % 7 == 0 ? 0 : $0 % 3 }
        let folds = try Splits.folds(labels: labels, count: 5, seed: 4)
        #expect(folds.flatMap(\.self).sorted() == Array(0..<103))
        let sizes = folds.map(\.count)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
        for label in 0..<3 {
            let counts = folds.map { fold in fold.count { labels[$0] == label } }
            #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
        }
        #expect(try Splits.folds(labels: labels, count: 5, seed: 4) == folds)
        #expect(try Splits.folds(labels: labels, count: 5, seed: 5) != folds)
        let error = try #require(throws: MLOpsError.self) { try Splits.folds(labels: [0, 1], count: 3, seed: 0) }
        #expect(error.message == "3 folds of 2 examples are not possible")
    }
}
