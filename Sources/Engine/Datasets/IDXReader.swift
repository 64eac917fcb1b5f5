internal import Basics

/// An array of bytes from an IDX file, the format of MNIST and its successors.
package struct IDXArray: Sendable {
    /// The sizes of the dimensions, the first one counting the examples.
    package var shape: [Int]
    /// Row-major.
    package var values: [UInt8]
}

/// Reads IDX files of unsigned bytes, plain or gzip (LeCun's description at the MNIST site).
package enum IDXReader {
    /// No array of more bytes is read, whatever its header says.
    private static let maximumByteCount = 1 << 32

    /// The array in the file at `path`.
    ///
    /// - Throws: kind `.usage` for another format or element type; kind `.damaged` if the file is shorter or longer than its
    ///   header says, with both byte counts.
    package static func read(_ path: String) throws -> IDXArray {
        let stream = try ByteStream(path: path)
        let magic = try header(4, of: stream)
        guard magic[0] == 0, magic[1] == 0, magic[3] > 0 else {
            let text = hexadecimal(magic)
            throw MLOpsError(
                .usage, "`\(path)` is not an IDX file: it starts with `\(text)`, expected `0000` and a type",
                hint: "name a file such as `train-images-idx3-ubyte.gz`")
        }
        guard magic[2] == 0x08 else {
            throw MLOpsError(
                .usage,
                "`\(path)` holds IDX elements of type `\(hexadecimal([magic[2]]))`, expected unsigned bytes `08`")
        }
        let sizes = try header(4 * Int(magic[3]), of: stream)
        var shape: [Int] = []
        var count = 1
        for start in stride(from: 0, to: sizes.count, by: 4) {
            let size = sizes[start..<(start + 4)].reduce(0) { $0 << 8 | Int($1) }
            let (product, overflows) = count.multipliedReportingOverflow(by: size)
            guard !overflows, product <= maximumByteCount else {
                throw MLOpsError(.damaged, "`\(path)` claims more than \(Format.bytes(Int64(maximumByteCount)))")
            }
            shape.append(size)
            count = product
        }
        return IDXArray(shape: shape, values: try body(count, shape: shape, of: stream))
    }

    private static func header(_ count: Int, of stream: ByteStream) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let found = try bytes.withUnsafeMutableBytes { try stream.read(into: $0) }
        guard found == count else {
            throw MLOpsError(
                .damaged, "`\(stream.path)` ends after \(stream.byteCount) bytes, inside the IDX header",
                hint: "fetch the file again")
        }
        return bytes
    }

    private static func body(_ count: Int, shape: [Int], of stream: ByteStream) throws -> [UInt8] {
        // Grows with what is there, so that a false header cannot ask for memory.
        var values: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 20)
        let sizes = shape.map(String.init).joined(separator: "×")
        while true {
            let found = try block.withUnsafeMutableBytes { try stream.read(into: $0) }
            if found == 0 { break }
            guard values.count + found <= count else {
                throw MLOpsError(
                    .damaged, "`\(stream.path)` holds more than the \(count) bytes of \(sizes) in its header")
            }
            values.append(contentsOf: block[..<found])
        }
        guard values.count == count else {
            throw MLOpsError(
                .damaged, "`\(stream.path)` holds \(values.count) bytes of data, expected \(count) for \(sizes)",
                hint: "fetch the file again")
        }
        return values
    }
}
