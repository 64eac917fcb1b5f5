internal import Basics
internal import Dispatch
internal import Synchronization
internal import Tensors

/// Pictures by class: `<folder>/<class>/<picture>.png`, `.jpg` or `.jpeg`.
struct PictureFolder: Sendable {
    let path: String
    /// The names of the sub-folders in byte order, or those that were given.
    let classes: [String]
    /// By class, then by name, both in byte order.
    private let pictures: [(path: String, label: Int)]

    /// Lists the pictures; nothing is decoded yet.
    ///
    /// - Parameter classes: the classes that may occur; nil takes the sub-folders.
    /// - Throws: kind `.usage` if there are no pictures, or if a sub-folder is none of the classes or holds a folder.
    init(_ path: String, classes known: [String]?) throws {
        self.path = path
        let folders = try PictureFolder.names(path).filter { FileSystem.isDirectory(FileSystem.join(path, $0)) }
        let classes = known ?? folders
        let numbers = Dictionary(classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        var pictures: [(path: String, label: Int)] = []
        for folder in folders {
            guard let label = numbers[folder] else {
                throw MLOpsError(
                    .usage, "folder `\(printable(folder))` of `\(path)` is none of the classes",
                    hint: nearestName(to: folder, among: classes).map { "did you mean `\($0)`?" }
                        ?? "the classes are \(classes.prefix(20).joined(separator: ", "))")
            }
            let count = pictures.count
            for name in try PictureFolder.names(FileSystem.join(path, folder)) {
                let file = FileSystem.join(FileSystem.join(path, folder), name)
                if FileSystem.isDirectory(file) {
                    throw MLOpsError(
                        .usage, "`\(file)` is a folder, expected pictures",
                        hint: "pictures lie at `<class>/<picture>.png`, without folders between")
                }
                if PictureFolder.isPicture(name) { pictures.append((file, label)) }
            }
            guard pictures.count > count else {
                throw MLOpsError(
                    .usage, "folder `\(FileSystem.join(path, folder))` holds no pictures",
                    hint: "put files that end with .png, .jpg or .jpeg there, or remove it")
            }
        }
        guard !pictures.isEmpty else {
            throw MLOpsError(
                .usage, "`\(path)` holds no folders of pictures", hint: "pictures lie at `<class>/<picture>.png`")
        }
        self.classes = classes
        self.pictures = pictures
    }

    var labels: [Int] { pictures.map(\.label) }

    private static func names(_ path: String) throws -> [String] {
        try FileSystem.list(path).filter { !$0.hasPrefix(".") }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func isPicture(_ name: String) -> Bool {
        let lower = name.lowercased()
        return [".png", ".jpg", ".jpeg"].contains { lower.hasSuffix($0) }
    }

    /// Decodes all pictures, on all processors, into bytes `[channels, height, width]` each.
    ///
    /// - Parameters:
    ///   - channels: 1 or 3; nil takes the first picture's.
    ///   - size: `[height, width]` that pictures are brought to; nil takes the first picture's and refuses others.
    /// - Throws: what `PictureReader` throws, of the first picture that fails; kind `.usage` for pictures of several sizes, or for more
    ///   than 4 GiB.
    func read(channels: Int?, size: [Int]?) throws -> (shape: [Int], pixels: [UInt8]) {
        let first = try PictureReader.read(pictures[0].path)
        let shape = [channels ?? first.channels] + (size ?? [first.height, first.width])
        guard let count = PictureFolder.byteCount([pictures.count] + shape) else {
            throw MLOpsError(
                .usage, "the \(pictures.count) pictures of `\(path)` take more than 4 GiB as \(shape)",
                hint: "choose a smaller `size` in `\(DatasetDescription.fileName)`")
        }
        var pixels = [UInt8](repeating: 0, count: count)
        let failure = Mutex<(index: Int, error: any Error)?>(nil)
        pixels.withUnsafeMutableBufferPointer { buffer in
            // Each picture writes to its own part.
            nonisolated(unsafe) let buffer = buffer
            DispatchQueue.concurrentPerform(iterations: pictures.count) { index in
                // What comes after a failure need not be decoded.
                if failure.withLock({ $0.map { $0.index < index } ?? false }) { return }
                do {
                    let part = buffer[(index * shape.product)..<((index + 1) * shape.product)]
                    try write(index, shape: shape, isFixed: size != nil, to: UnsafeMutableBufferPointer(rebasing: part))
                } catch {
                    failure.withLock { if $0.map({ index < $0.index }) ?? true { $0 = (index, error) } }
                }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure.error }
        return (shape, pixels)
    }

    private func write(_ index: Int, shape: [Int], isFixed: Bool, to output: UnsafeMutableBufferPointer<UInt8>) throws {
        var picture = try PictureReader.read(pictures[index].path)
        guard isFixed || [picture.height, picture.width] == [shape[1], shape[2]] else {
            throw MLOpsError(
                .usage,
                "picture `\(pictures[index].path)` has \(picture.width)×\(picture.height) pixels, the first one \(shape[2])×\(shape[1])",
                hint: "set `size: [height, width]` in `\(DatasetDescription.fileName)` to bring all to one size")
        }
        picture = picture.converted(channels: shape[0]).resized(width: shape[2], height: shape[1])
        let plane = shape[1] * shape[2]
        for position in 0..<plane {
            for channel in 0..<shape[0] {
                output[channel * plane + position] = picture.pixels[position * shape[0] + channel]
            }
        }
    }

    private static func byteCount(_ shape: [Int]) -> Int? {
        var count = 1
        for extent in shape {
            let (product, overflows) = count.multipliedReportingOverflow(by: extent)
            guard !overflows, product <= 1 << 32 else { return nil }
            count = product
        }
        return count
    }
}
