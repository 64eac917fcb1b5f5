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

    /// The bytes of one element by dtype; 0 marks those that exist but are not read here.
    static let elementSizes: [String: Int] = [
        "BOOL": 1, "U8": 1, "I8": 1, "F16": 2, "BF16": 2, "I16": 0, "U16": 0, "I32": 4, "U32": 0, "F32": 4, "I64": 8,
        "U64": 0, "F64": 8, "F8_E4M3": 0, "F8_E5M2": 0, "C64": 0,
    ]

    /// Parses and checks the JSON `text` of a header whose data take `dataByteCount` bytes.
    ///
    /// - Throws: kind `.damaged` naming `path` for broken JSON, duplicate names, sizes that overflow or disagree with shape
    ///   and dtype, and for ranges that overlap, leave gaps or leave the file; kind `.usage` for a dtype not read here.
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
        guard let elementSize = SafetensorsHeader.elementSizes[dtype] else {
            throw MLOpsError(
                .usage, "`\(path)`: tensor `\(printable(name))` has unknown dtype `\(printable(dtype))`",
                hint: "known are \(SafetensorsHeader.elementSizes.keys.sorted().joined(separator: ", "))")
        }
        guard elementSize > 0 else {
            throw MLOpsError(
                .usage, "`\(path)`: tensor `\(printable(name))` has dtype `\(dtype)`, which this program does not read",
                hint: "convert it to F32, I32 or U8")
        }
        var byteCount = elementSize
        for size in shape {
            let (product, overflows) = byteCount.multipliedReportingOverflow(by: size)
            guard !overflows else { throw damaged(path, "the shape of tensor `\(printable(name))` overflows") }
            byteCount = product
        }
        guard byteCount == range.count else {
            throw damaged(
                path,
                "tensor `\(printable(name))` of \(dtype) \(shape) needs \(byteCount) bytes, its range has \(range.count)"
            )
        }
    }
}

func damaged(_ path: String, _ message: String) -> MLOpsError {
    MLOpsError(
        .damaged, "safetensors file `\(path)`: \(message)",
        hint: "fetch or make the file again; `mlops fsck` checks stored ones")
}
