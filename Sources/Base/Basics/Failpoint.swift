internal import CSystem
internal import Glibc
internal import Synchronization

/// Named places at which a test can make the process die or a call fail:
/// `MLOPS_FAILPOINT=<point>:<n>:kill|eio|enospc|short`.
///
/// The n-th time that the process reaches `point` (from 1), the action happens, once. `short` writes half of what was to be
/// written and then finds the disk full. `MLOPS_FAILPOINT=list:<file>` adds a line to the file for each point that is
/// reached, so that a test can go through all of them. Unset, a point costs one load.
package enum Failpoint {
    private enum Action: String {
        case kill, eio, enospc, short
    }

    private struct Plan: Sendable {
        var point: String
        var remaining: Int
        var action: Action

        var text: String { "\(point):\(remaining):\(action.rawValue)" }
    }

    private static let isArmed = Atomic<Bool>(false)
    private static let plan = Mutex<Plan?>(nil)
    private static let listing = Mutex<OpenFile?>(nil)

    /// A plan for one task and its children.
    private final class Scope: Sendable {
        let plan: Mutex<Plan?>

        init(_ plan: Plan) { self.plan = Mutex(plan) }
    }

    @TaskLocal private static var scope: Scope?

    /// Arms the point that `specification` names for the whole process; `any` stands for every point.
    ///
    /// - Throws: kind `.usage` if it is neither `<point>:<n>:kill|eio|enospc|short` nor `list:<file>`.
    package static func arm(_ specification: String) throws {
        if specification.hasPrefix("list:") {
            let path = String(specification.dropFirst(5))
            let descriptor = mlops_open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            if descriptor < 0 { throw MLOpsError.system("open", path, errno: errno) }
            listing.withLock { $0 = OpenFile(descriptor: descriptor, path: path) }
        } else {
            let parsed = try parse(specification)
            plan.withLock { $0 = parsed }
        }
        isArmed.store(true, ordering: .releasing)
    }

    /// Arms the point for `body` and the tasks below it alone, so that tests that run beside it are not hit.
    package static func within<Value>(_ specification: String, _ body: () throws -> Value) throws -> Value {
        let scope = Scope(try parse(specification))
        isArmed.store(true, ordering: .releasing)
        return try $scope.withValue(scope) { try body() }
    }

    private static func parse(_ specification: String) throws -> Plan {
        let parts = specification.split(separator: ":").map(String.init)
        guard parts.count == 3, let count = Int(parts[1]), count > 0, let action = Action(rawValue: parts[2])
        else {
            throw MLOpsError(
                .usage, "MLOPS_FAILPOINT is `\(specification)`, expected `<point>:<n>:kill|eio|enospc|short`")
        }
        return Plan(point: parts[0], remaining: count, action: action)
    }

    /// Takes back what `arm` did.
    package static func disarm() {
        plan.withLock { $0 = nil }
        listing.withLock { $0 = nil }
    }

    /// What was armed for the process and has not happened, with the number of times that are left; nil if nothing.
    package static var pending: String? { plan.withLock { $0?.text } }

    /// Marks that the process is about to do `point`.
    ///
    /// - Throws: the armed error, if this is the armed point and the armed time.
    @inline(__always)
    package static func reach(_ point: String) throws {
        guard isArmed.load(ordering: .acquiring) else { return }
        try act(point, writing: nil)
    }

    /// Marks that the process is about to write `bytes` to `file`.
    @inline(__always)
    static func reach(_ point: String, writing bytes: UnsafeRawBufferPointer, to file: OpenFile) throws {
        guard isArmed.load(ordering: .acquiring) else { return }
        try act(point, writing: (bytes, file))
    }

    private static func act(_ point: String, writing: (bytes: UnsafeRawBufferPointer, file: OpenFile)?) throws {
        note(point)
        func fire(_ plan: inout Plan?) -> Action? {
            guard var current = plan, current.point == point || current.point == "any" else { return nil }
            current.remaining -= 1
            plan = current.remaining == 0 ? nil : current
            return current.remaining == 0 ? current.action : nil
        }
        let path = writing?.file.path ?? point
        switch scope?.plan.withLock({ fire(&$0) }) ?? plan.withLock({ fire(&$0) }) {
        case .kill: kill(getpid(), SIGKILL)
        case .eio: throw MLOpsError.system("write (failpoint)", path, errno: EIO)
        case .enospc: throw MLOpsError.system("write (failpoint)", path, errno: ENOSPC)
        case .short:
            if let (bytes, file) = writing {
                _ = Glibc.write(file.descriptor, bytes.baseAddress, bytes.count / 2)
            }
            throw MLOpsError.system("write (failpoint)", path, errno: ENOSPC)
        case nil: break
        }
    }

    private static func note(_ point: String) {
        listing.withLock { file in
            guard let file else { return }
            let line = Array((point + "\n").utf8)
            _ = Glibc.write(file.descriptor, line, line.count)
        }
    }
}
