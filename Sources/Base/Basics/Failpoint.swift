internal import Glibc
internal import Synchronization

/// Named places at which a test can make the process die or a call fail: `MLOPS_FAILPOINT=<point>:<n>:kill|eio|enospc`.
///
/// The n-th time that the process reaches `point` (from 1), the action happens, once. Unset, a point costs one load.
package enum Failpoint {
    private struct Plan: Sendable {
        var point: String
        var remaining: Int
        var action: String
    }

    private static let isArmed = Atomic<Bool>(false)
    private static let plan = Mutex<Plan?>(nil)

    /// A plan for one task and its children.
    private final class Scope: Sendable {
        let plan: Mutex<Plan?>

        init(_ plan: Plan) { self.plan = Mutex(plan) }
    }

    @TaskLocal private static var scope: Scope?

    /// Arms the point that `specification` names for the whole process; `any` stands for every point.
    ///
    /// - Throws: kind `.usage` if it is not `<point>:<n>:kill|eio|enospc`.
    package static func arm(_ specification: String) throws {
        let parsed = try parse(specification)
        plan.withLock { $0 = parsed }
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
        guard parts.count == 3, let count = Int(parts[1]), count > 0, ["kill", "eio", "enospc"].contains(parts[2])
        else {
            throw MLOpsError(
                .usage, "MLOPS_FAILPOINT is `\(specification)`, expected `<point>:<n>:kill|eio|enospc`")
        }
        return Plan(point: parts[0], remaining: count, action: parts[2])
    }

    /// Takes back what `arm` did.
    package static func disarm() { plan.withLock { $0 = nil } }

    /// Marks that the process is about to do `point`.
    ///
    /// - Throws: the armed error, if this is the armed point and the armed time.
    package static func reach(_ point: String) throws {
        guard isArmed.load(ordering: .acquiring) else { return }
        func fire(_ plan: inout Plan?) -> String? {
            guard var current = plan, current.point == point || current.point == "any" else { return nil }
            current.remaining -= 1
            plan = current.remaining == 0 ? nil : current
            return current.remaining == 0 ? current.action : nil
        }
        switch scope?.plan.withLock({ fire(&$0) }) ?? plan.withLock({ fire(&$0) }) {
        case "kill": kill(getpid(), SIGKILL)
        case "eio": throw MLOpsError.system("write (failpoint)", point, errno: EIO)
        case "enospc": throw MLOpsError.system("write (failpoint)", point, errno: ENOSPC)
        default: break
        }
    }
}
