internal import Basics

/// Reads IDX files, the format of MNIST and its successors, plain or gzip (LeCun's description at the MNIST site).
package enum IDXReader {
    private static let elements: [UInt8: RawArray.Element] = [
        0x08: .u8, 0x09: .i8, 0x0B: .i16, 0x0C: .i32, 0x0D: .f32, 0x0E: .f64,
    ]

    /// The array in the file at `path`; its first axis counts the examples.
    ///
    /// - Throws: kind `.usage` for another format or element type; kind `.damaged` if the file is shorter or longer than its
    ///   header says, with both byte counts.
    package static func read(_ path: String) throws -> RawArray { try read(ByteStream(path: path)) }

    static func read(_ stream: ByteStream) throws -> RawArray {
        let path = stream.path
        let magic = try stream.bytes(4, part: "the IDX header")
        guard magic[0] == 0, magic[1] == 0, magic[3] > 0 else {
            let text = hexadecimal(magic)
            throw MLOpsError(
                .usage, "`\(path)` is not an IDX file: it starts with `\(text)`, expected `0000` and a type",
                hint: "name a file such as `train-images-idx3-ubyte.gz`")
        }
        guard let element = elements[magic[2]] else {
            throw MLOpsError(
                .usage,
                "`\(path)` holds IDX elements of type `\(hexadecimal([magic[2]]))`, expected one of "
                    + elements.keys.sorted().map { "`\(hexadecimal([$0]))`" }.joined(separator: ", "))
        }
        let sizes = try stream.bytes(4 * Int(magic[3]), part: "the IDX header")
        let shape = stride(from: 0, to: sizes.count, by: 4).map { start in
            sizes[start..<(start + 4)].reduce(0) { $0 << 8 | Int($1) }
        }
        var array = try stream.array(shape, element, format: "IDX")
        array.swapByteOrder()
        return array
    }
}

extension ByteStream {
    /// The rest of the stream as an array of `shape`, bytes as they lie there.
    ///
    /// - Throws: kind `.damaged` if there are fewer or more bytes, before memory is asked for if that can be known.
    func array(_ shape: [Int], _ element: RawArray.Element, format: String) throws -> RawArray {
        let sizes = shape.map(String.init).joined(separator: "×")
        let claim = "\(sizes.isEmpty ? "one" : sizes) of \(element.rawValue)"
        guard let count = RawArray.byteCount(shape, element) else {
            throw MLOpsError(
                .damaged,
                "the \(format) header of `\(path)` claims \(claim), more than "
                    + Format.bytes(Int64(RawArray.maximumByteCount)))
        }
        guard Int64(count) <= maximumRest else {
            throw shortage(isDeflated ? "at most " : "", maximumRest, count, claim)
        }
        var found = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            found = try read(into: UnsafeMutableRawBufferPointer(buffer))
            initialized = found
        }
        guard found == count else { throw shortage("", Int64(found), count, claim) }
        var extra: UInt8 = 0
        guard try withUnsafeMutableBytes(of: &extra, { try read(into: $0) }) == 0 else {
            throw MLOpsError(.damaged, "`\(path)` holds more than the \(count) bytes of \(claim) in its header")
        }
        return RawArray(shape: shape, element: element, bytes: bytes)
    }

    private func shortage(_ bound: String, _ found: Int64, _ count: Int, _ claim: String) -> MLOpsError {
        MLOpsError(
            .damaged, "`\(path)` holds \(bound)\(found) bytes of data, expected \(count) for \(claim)",
            hint: "fetch the file again")
    }
}
