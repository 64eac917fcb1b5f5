internal import Basics

/// What the folders of packs, `00` to `ff`, looked like when they were last listed, so that only those that changed since are
/// listed again.
struct PackGroups: Sendable {
    struct Group: Sendable {
        /// The first of the digests of its packs.
        var byte: UInt8
        var name: String
        fileprivate var stamp: Stamp?
    }

    fileprivate struct Stamp: Equatable {
        var modified: Int64
        var changed: Int64
        var inode: UInt64
    }

    /// None for a folder that changed so lately that the next change could leave its times as they are.
    private var stamps = [Stamp?](repeating: nil, count: 256)
    private var isKnown = [Bool](repeating: false, count: 256)

    /// How coarse the clock of a file system may be; where its times are whole seconds, two of them.
    private static let tick: Int64 = 50_000_000
    private static let coarseTick: Int64 = 2_000_000_000

    private static let names = (0..<256).map { number in
        let hex = String(number, radix: 16)
        return hex.count == 1 ? "0" + hex : hex
    }

    /// The folders that are not as they were; those that are gone or were made since, too.
    func changed(in folder: PackFolder) -> [Group] {
        let now = Timestamp.now.milliseconds * 1_000_000
        return PackGroups.names.enumerated().compactMap { number, name in
            let status = try? FileStatus.of(folder.path + "/" + name)
            let stamp = status.map {
                Stamp(modified: $0.modificationNanoseconds, changed: $0.changeNanoseconds, inode: $0.inode)
            }
            if isKnown[number], stamps[number] == stamp { return nil }
            let age = now - max(stamp?.modified ?? 0, stamp?.changed ?? 0)
            let isCoarse = stamp.map { $0.modified % 1_000_000_000 == 0 } ?? false
            let isSettled = age > (isCoarse ? PackGroups.coarseTick : PackGroups.tick)
            return Group(byte: UInt8(number), name: name, stamp: isSettled ? stamp : PackGroups.unsettled)
        }
    }

    /// Equal to no folder's.
    private static let unsettled = Stamp(modified: .min, changed: .min, inode: .max)

    /// Notes that the folder was listed after it was found changed.
    mutating func note(_ group: Group) {
        stamps[Int(group.byte)] = group.stamp
        isKnown[Int(group.byte)] = true
    }
}
