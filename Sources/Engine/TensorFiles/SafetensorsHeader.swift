internal import Basics

/// Where one tensor lies in a safetensors file.
package struct SafetensorsEntry: Hashable, Sendable {
    package var name: String
    /// As the format writes it: `F32`, `I8`, `BF16` and so on.
    package var dtype: String
    package var shape: [Int]
    /// Bytes, counted from the end of the header.
    package var range: Range<Int>
}

/// The header of a safetensors file: tensors in the order of their bytes, and free text by key.
package struct SafetensorsHeader: Hashable, Sendable {
    package var entries: [SafetensorsEntry]
    package var metadata: [String: String]

    /// The element types by their names there.
    static let elements: [String: RawArray.Element] = [
        "BOOL": .bool, "U8": .u8, "I8": .i8, "F16": .f16, "BF16": .bf16, "I16": .i16, "U16": .u16, "I32": .i32,
        "U32": .u32, "F32": .f32, "I64": .i64, "U64": .u64, "F64": .f64,
    ]
    /// The bits of one element of types that the format has and this program does not read.
    static let unreadable: [String: Int] = [
        "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8, "C64": 64,
    ]

    /// Parses and checks the JSON `text` of a header whose data take `dataByteCount` bytes.
    ///
    /// - Throws: kind `.damaged` naming `path` for broken JSON, duplicate names, sizes that overflow or disagree with shape
    ///   and dtype, and for ranges that overlap, leave gaps or leave the file; kind `.usage` for a dtype that does not exist.
    package init(parsing text: ArraySlice<UInt8>, dataByteCount: Int, path: String) throws {
        var parser = SafetensorsHeaderParser(text, path: path)
        let parsed = try parser.parse()
        metadata = parsed.metadata
        entries = parsed.entries.sorted {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }
        var end = 0
        for entry in entries {
            try entry.check(path: path)
            guard entry.range.lowerBound == end else {
                let fault = entry.range.lowerBound < end ? "overlaps the one before" : "leaves a gap before it"
                throw damaged(path, "tensor `\(printable(entry.name))` at bytes \(entry.range) \(fault)")
            }
            end = entry.range.upperBound
        }
        guard end == dataByteCount else {
            throw damaged(path, "it holds \(dataByteCount) bytes of data, its header names \(end)")
        }
    }
}

extension SafetensorsEntry {
    fileprivate func check(path: String) throws {
        let bits = SafetensorsHeader.elements[dtype].map { $0.size * 8 } ?? SafetensorsHeader.unreadable[dtype]
        guard var bitCount = bits else {
            throw MLOpsError(
                .usage, "`\(path)`: tensor `\(printable(name))` has unknown dtype `\(printable(dtype))`",
                hint: "known are \(SafetensorsHeader.elements.keys.sorted().joined(separator: ", "))")
        }
        for size in shape {
            let (product, overflows) = bitCount.multipliedReportingOverflow(by: max(size, 1))
            guard !overflows else { throw damaged(path, "the shape of tensor `\(printable(name))` overflows") }
            bitCount = product
        }
        // The other extents of an empty tensor must be possible too.
        if shape.contains(0) { bitCount = 0 }
        guard bitCount % 8 == 0, bitCount / 8 == range.count else {
            let needed = (bitCount + 7) / 8
            throw damaged(
                path,
                "tensor `\(printable(name))` of \(dtype) \(shape) needs \(needed) bytes, its range has \(range.count)")
        }
    }

    /// - Throws: kind `.usage` for a dtype that this program does not read.
    func requireReadable(path: String) throws {
        guard SafetensorsHeader.elements[dtype] != nil else {
            throw MLOpsError(
                .usage, "`\(path)`: tensor `\(printable(name))` has dtype `\(dtype)`, which this program does not read",
                hint: "known are \(SafetensorsHeader.elements.keys.sorted().joined(separator: ", "))")
        }
    }
}

func damaged(_ path: String, _ message: String) -> MLOpsError {
    MLOpsError(
        .damaged, "safetensors file `\(path)`: \(message)",
        hint: "fetch or make the file again; `mlops fsck` checks stored ones")
}
