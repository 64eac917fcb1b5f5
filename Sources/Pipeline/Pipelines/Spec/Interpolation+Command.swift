internal import Basics

extension Interpolation {
    /// What a `run:` says to start.
    func command(_ node: YAMLNode, used: inout ReferenceUse) throws -> Stage.Action {
        switch node.content {
        case .string(let line):
            guard !line.allSatisfy(\.isWhitespace) else { throw node.expected("a command") }
            try checkShellValues(line, at: node.location)
            return .shell(try resolve(node, used: &used).string())
        case .list(let items):
            guard !items.isEmpty else {
                throw MLOpsError(
                    .usage, "`run` is an empty list", hint: "write `run: [program, argument]`", at: node.location)
            }
            let arguments = try items.map { item in
                try resolve(item, used: &used).scalarText("a program or an argument")
            }
            if arguments.contains(where: { $0.utf8.contains(0) }) {
                throw MLOpsError(.usage, "an argument of `run` contains a NUL byte", at: node.location)
            }
            guard arguments.first?.isEmpty == false else {
                throw MLOpsError(.usage, "the program of `run` is an empty text", at: node.location)
            }
            return .command(arguments)
        default: throw node.expected("a list of a program and its arguments, or a line for the shell")
        }
    }

    /// Refuses values that the shell would interpret, so that a parameter cannot become a command.
    private func checkShellValues(_ line: String, at location: SourceLocation) throws {
        for name in try references(in: line, at: location) {
            var used = ReferenceUse()
            let reference = YAMLNode(.string("${\(name)}"), at: location)
            let value = try resolve(reference, used: &used)
            let text = try value.scalarText("a number or a text for `${\(name)}`")
            let isSafe = text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "_./:=@%+,-".utf8.contains(byte)
                }
            }
            guard isSafe, !text.isEmpty else {
                throw MLOpsError(
                    .usage, "the value of `${\(name)}` is \(value.summary), which the shell would not take literally",
                    hint: "write `run` as a list: `run: [program, \"${\(name)}\"]`", at: location)
            }
        }
    }
}
