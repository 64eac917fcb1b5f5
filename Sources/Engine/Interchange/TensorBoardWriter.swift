package import Basics
internal import Glibc

/// Writes scalars, histograms and pictures into an event file that TensorBoard reads (Documentation/formats/tensorboard.md).
package final class TensorBoardWriter {
    private let file: OpenFile

    /// Makes a new event file in `folder`.
    ///
    /// - Parameter start: when the events begin; it is part of the file's name, by which TensorBoard orders files.
    package init(folder: String, start: Timestamp = .now) throws {
        try FileSystem.createDirectories(folder)
        let seconds = String(start.milliseconds / 1000)
        let name = "events.out.tfevents." + String(repeating: "0", count: max(0, 10 - seconds.count)) + seconds
        let path = FileSystem.join(folder, "\(name).\(start.milliseconds % 1000).\(getpid()).mlops")
        try FileSystem.removeFile(path)
        file = try OpenFile(creating: path, mode: 0o644)
        var event = ProtobufWriter()
        event.add(1, Double(start.milliseconds) / 1000)
        event.add(3, "brain.Event:2")
        try append(event)
    }

    /// Adds `values` at `step`; they can be seen at once.
    package func add(_ values: [String: Double], step: Int64, at time: Timestamp = .now) throws {
        guard !values.isEmpty else { return }
        var summary = ProtobufWriter()
        for (tag, value) in values.sorted(by: { $0.key < $1.key }) {
            var item = ProtobufWriter()
            item.add(1, tag)
            item.add(2, Float(value))
            summary.add(1, item)
        }
        try append(summary, step, time)
    }

    /// Adds how `values` are spread at `step`, in 30 buckets of one width; NaN and infinite ones do not count.
    package func add(histogram values: [Float], tag: String, step: Int64, at time: Timestamp = .now) throws {
        let values = values.filter(\.isFinite).map(Double.init)
        guard let least = values.min(), let most = values.max() else { return }
        let bucketCount = least == most ? 1 : 30
        var counts = [Double](repeating: 0, count: bucketCount)
        for value in values {
            let share = least == most ? 0 : (value - least) / (most - least)
            counts[min(bucketCount - 1, Int(share * Double(bucketCount)))] += 1
        }
        var histogram = ProtobufWriter()
        histogram.add(1, least)
        histogram.add(2, most)
        histogram.add(3, Double(values.count))
        histogram.add(4, values.reduce(0, +))
        histogram.add(5, values.reduce(0) { $0 + $1 * $1 })
        let width = (most - least) / Double(bucketCount)
        histogram.add(6, packed: (1...bucketCount).map { $0 == bucketCount ? most : least + Double($0) * width })
        histogram.add(7, packed: counts)
        try append(value: 5, histogram, tag, step, time)
    }

    /// Adds a picture at `step`: the bytes of a PNG file of `width` × `height` pixels with 1 (grey), 3 or 4 `channels`.
    package func add(
        picture bytes: [UInt8], width: Int, height: Int, channels: Int, tag: String, step: Int64,
        at time: Timestamp = .now
    ) throws {
        var picture = ProtobufWriter()
        picture.add(1, height)
        picture.add(2, width)
        picture.add(3, channels)
        picture.add(4, bytes: bytes)
        try append(value: 4, picture, tag, step, time)
    }

    private func append(
        value field: Int, _ value: ProtobufWriter, _ tag: String, _ step: Int64, _ time: Timestamp
    ) throws {
        var item = ProtobufWriter()
        item.add(1, tag)
        item.add(field, value)
        var summary = ProtobufWriter()
        summary.add(1, item)
        try append(summary, step, time)
    }

    private func append(_ summary: ProtobufWriter, _ step: Int64, _ time: Timestamp) throws {
        var event = ProtobufWriter()
        event.add(1, Double(time.milliseconds) / 1000)
        event.add(2, step)
        event.add(5, summary)
        try append(event)
    }

    private func append(_ event: ProtobufWriter) throws {
        // One write a record: a reader that comes between two sees whole records.
        try file.write(TensorBoardRecord.frame(event.bytes))
    }
}

/// One record of a TFRecord file: length, masked CRC-32C of the length, bytes, masked CRC-32C of the bytes.
enum TensorBoardRecord {
    static func frame(_ bytes: [UInt8]) -> [UInt8] {
        let length = littleEndian(UInt64(bytes.count))
        return length + littleEndian(masked(length)) + bytes + littleEndian(masked(bytes))
    }

    /// A CRC that is not the CRC of a text with CRCs in it, as LevelDB masks it.
    static func masked(_ bytes: [UInt8]) -> UInt32 {
        let value = crc32c(bytes)
        return (value >> 15 | value << 17) &+ 0xA282_EAD8
    }

    private static let table: [UInt32] = (0..<256).map { index in
        // The polynomial of Castagnoli, bits reversed.
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
    }

    static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { value, byte in value >> 8 ^ table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] }
    }
}
