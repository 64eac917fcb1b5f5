internal import Basics
internal import Glibc

/// Tells which names came to or went from folders, as the kernel notes it (`inotify(7)`), so that a folder with thousands of names
/// need not be listed for the one that changed.
///
/// Where the kernel gives no notices, or loses some, `names` gives nil, and the folder has to be listed.
// Used by one thread at a time.
final class FolderNotices {
    private var descriptor: Int32 = -1
    private var isUsable = true
    private var folders: [Int32: String] = [:]
    private var changed: [String: Set<String>] = [:]

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Begins to take notice of the names in the folder at `path`, called `folder`; list it after this.
    func watch(_ folder: String, at path: String) {
        guard isUsable, changed[folder] == nil else { return }
        if descriptor < 0 { descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC)) }
        let events = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
        let watch = descriptor < 0 ? -1 : inotify_add_watch(descriptor, path, UInt32(events) | UInt32(IN_ONLYDIR))
        guard watch >= 0 else {
            isUsable = false
            return
        }
        folders[watch] = folder
        changed[folder] = []
    }

    /// The names in `folder` that came or went since the last call; nil if that is not known.
    func names(in folder: String) -> Set<String>? {
        guard let names = changed[folder] else { return nil }
        changed[folder] = []
        return names
    }

    /// Takes in what the kernel noted so far.
    func refresh() {
        guard descriptor >= 0 else { return }
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 8) { block in
            while true {
                let count = read(descriptor, block.baseAddress, block.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                take(UnsafeRawBufferPointer(rebasing: block[..<count]))
            }
        }
    }

    private func take(_ events: UnsafeRawBufferPointer) {
        let head = MemoryLayout<inotify_event>.size
        var offset = 0
        while offset + head <= events.count {
            let event = events.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
            let name = events[(offset + head)...].prefix(Int(event.len)).prefix { $0 != 0 }
            offset += head + Int(event.len)
            if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
                // What got lost is unknown: every folder is listed again.
                changed = [:]
            } else if event.mask & UInt32(IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF) != 0 {
                if let folder = folders[event.wd] { changed[folder] = nil }
            } else if let folder = folders[event.wd] {
                changed[folder]?.insert(String(decoding: name, as: UTF8.self))
            }
        }
    }
}
