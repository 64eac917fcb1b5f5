internal import Basics

/// How far a long operation has come.
package struct TransferProgress: Sendable, Hashable {
    package var doneBytes: Int64
    package var totalBytes: Int64
    package var doneFiles: Int
    package var totalFiles: Int

    package init(doneBytes: Int64 = 0, totalBytes: Int64 = 0, doneFiles: Int = 0, totalFiles: Int = 0) {
        self.doneBytes = doneBytes
        self.totalBytes = totalBytes
        self.doneFiles = doneFiles
        self.totalFiles = totalFiles
    }
}

package typealias ProgressHandler = @Sendable (TransferProgress) -> Void

package struct AddOptions: Sendable {
    /// How many files are worked on at a time.
    package var jobs: Int
    /// Record where the chunks of files lie, and leave them there.
    package var isInPlace: Bool
    /// Report what became of each file.
    package var explains: Bool
    package var youngFiles = YoungFiles.wait
    package var progress: ProgressHandler?

    package init(
        jobs: Int = defaultJobs, isInPlace: Bool = false, explains: Bool = false, progress: ProgressHandler? = nil
    ) {
        self.jobs = jobs
        self.isInPlace = isInPlace
        self.explains = explains
        self.progress = progress
    }
}

/// What an addition did with one file that it read, in bytes.
package struct AddedFile: Encodable, Sendable, Hashable {
    /// Below the root; `""` when the root is the file.
    package var path: String
    package var logicalByteCount: Int64
    /// Of chunks that the store did not hold.
    package var newByteCount: Int64
    /// What these take in packs.
    package var storedByteCount: Int64
    package var chunkCount: Int
    package var newChunkCount: Int

    init(_ file: HashedFile, path: String) {
        self.path = path
        logicalByteCount = file.status.size
        newByteCount = file.tally.newByteCount
        storedByteCount = file.tally.storedByteCount
        chunkCount = file.tally.chunkCount
        newChunkCount = file.tally.newChunkCount
    }
}

/// What an addition did.
package struct AddReport: Encodable, Sendable {
    package var root: ContentRoot
    /// The bytes of all files.
    package var logicalByteCount: Int64
    /// The bytes that the store did not hold before.
    package var newByteCount: Int64
    /// What they take on the disk, with all overhead.
    package var storedByteCount: Int64
    /// The files that were read; the others were known by their status.
    package var hashedFileCount: Int
    package var newObjectCount: Int
    package var packCount: Int
    /// The bytes that were left in the workspace.
    package var inPlaceByteCount: Int64 = 0
    /// The files that were read, by path, if they were asked for.
    package var files: [AddedFile]?
    /// Names in changed folders that differ only in case or in how an accent is spelled, as sentences.
    package var collisions: [String] = []
}

package struct CheckoutOptions: Sendable {
    /// Overwrite and remove files whose content the store does not hold.
    package var force: Bool
    package var jobs: Int
    package var progress: ProgressHandler?
    /// What to make right; the rest is left as it is.
    package var selection: PathSelection
    /// Has what the store lacks of large files.
    package var source: (any ChunkSource)?
    /// Files that come from `source` stay where they are written: the store notes their chunks and keeps no copy.
    package var isInPlace = false
    package var youngFiles = YoungFiles.wait

    package init(
        force: Bool = false, jobs: Int = defaultJobs, progress: ProgressHandler? = nil, selection: PathSelection = .all,
        source: (any ChunkSource)? = nil
    ) {
        self.force = force
        self.jobs = jobs
        self.progress = progress
        self.selection = selection
        self.source = source
    }
}

/// What a checkout did.
package struct CheckoutReport: Encodable, Sendable {
    package var writtenFileCount = 0
    package var writtenByteCount: Int64 = 0
    package var removedFileCount = 0
    package var unchangedFileCount = 0

    /// Whether the workspace was as wanted before.
    package var isUnchanged: Bool { writtenFileCount == 0 && removedFileCount == 0 }
}

/// What reading every byte of the store found.
package struct VerificationReport: Encodable, Sendable {
    package struct Damage: Encodable, Sendable, Hashable {
        /// The pack's digest; nil for an object that lies in no pack.
        package var pack: String?
        /// `chunk sha256:…`; nil when the pack as a whole is meant.
        package var object: String?
        /// What is wrong, as a sentence without its end.
        package var problem: String
        /// The names of the roots that need the object.
        package var hurts: [String]
        /// Some of the files hurt, as `root: path`.
        package var files: [String]

        package init(
            pack: String? = nil, object: String? = nil, problem: String, hurts: [String] = [], files: [String] = []
        ) {
            self.pack = pack
            self.object = object
            self.problem = problem
            self.hurts = hurts
            self.files = files
        }
    }

    package var packCount = 0
    package var objectCount = 0
    package var byteCount: Int64 = 0
    package var damages: [Damage] = []
    /// Whether the index said other things than the packs, and was made anew.
    package var repairedIndex = false

    package init() {}

    package var isClean: Bool { damages.isEmpty }

    /// The names of all roots that are hurt, sorted.
    package var hurtRoots: [String] { Set(damages.flatMap(\.hurts)).sorted() }
}

/// What the index was rebuilt from.
package struct RebuildReport: Encodable, Sendable {
    package var packCount = 0
    package var objectCount = 0
    /// Paths of packs whose footers cannot be read.
    package var unreadablePacks: [String] = []
}
