internal import Basics

/// A hook of git that mlops takes part in.
package enum GitHook: String, Sendable, CaseIterable {
    case postCheckout = "post-checkout"
    case postMerge = "post-merge"
    /// For merges that stopped at a conflict: git does not call `post-merge` when their commit is made.
    case postCommit = "post-commit"
    /// For rebases.
    case postRewrite = "post-rewrite"
    case prePush = "pre-push"

    /// A shell's test for the calls that are not worth the start of a program; nil if each is.
    fileprivate var skipTest: String? {
        switch self {
        case .postCommit: "! git rev-parse -q --verify 'HEAD^2' >/dev/null 2>&1"
        case .postRewrite: "[ \"$1\" != rebase ]"
        case .postCheckout, .postMerge, .prePush: nil
        }
    }
}

/// The text of a hook: a shell script with a marked block of ours, which leaves the lines around it as they are.
struct HookScript {
    /// Below git's work tree, `""` for its root: a repository may hold several projects.
    let project: String
    /// The program, where `mlops` is not on PATH; nil in hooks that other machines use too.
    let executable: String?

    /// How every project's block begins.
    private static let mark = "# >>> mlops >>> "

    // Whole lines: the name of a project may begin with that of another.
    private var beginning: String { "\(HookScript.mark)\(project.isEmpty ? "." : project) (from `mlops install`)" }
    private var end: String { "# <<< mlops <<< \(project.isEmpty ? "." : project)" }

    /// The lines that a hook needs.
    func block(of hook: GitHook) -> String {
        let fallback = executable.map(shellQuoted) ?? "''"
        let folder = project.isEmpty ? "" : " -C \(shellQuoted(project))"
        let find = "mlops=$(command -v mlops) || mlops=\(fallback)"
        let body =
            hook == .prePush
            ? """
            \(find)
            if [ ! -x "$mlops" ]; then
                echo 'error: mlops was not found, so the data of this push cannot be sent' >&2
                echo 'hint: put it on PATH, or push without the data with `git push --no-verify`' >&2
                exit 1
            fi
            mlops_refs=$(cat)
            printf '%s\\n' "$mlops_refs" | "$mlops"\(folder) hook pre-push -- "$@" || exit 1
            if [ -n "$mlops_refs" ]; then
                exec <<MLOPS_REFS
            $mlops_refs
            MLOPS_REFS
            else
                exec </dev/null
            fi
            """
            : """
            \(find)
            if \(hook.skipTest.map { "\($0); then\n    :\nelif " } ?? "")[ -x "$mlops" ]; then
                "$mlops"\(folder) hook \(hook.rawValue) -- "$@" </dev/null || :
            else
                echo 'warning: mlops was not found, so data files stay as they are' >&2
                echo 'hint: put it on PATH, then run `mlops checkout`' >&2
            fi
            """
        return "\(beginning)\n\(body)\n\(end)\n"
    }

    /// `text` with the block of `hook` in it, before what else it does; an older block is replaced.
    ///
    /// - Returns: nil if `text` is no shell script.
    func inserting(_ hook: GitHook, into text: String) -> String? {
        if text.contains(block(of: hook)) { return text }
        let rest = removing(from: text)
        if rest.isEmpty { return "#!/bin/sh\n" + block(of: hook) }
        guard rest.hasPrefix("#!") else { return block(of: hook) + rest }
        let lineEnd = rest.firstIndex(of: "\n") ?? rest.endIndex
        let interpreter = rest[..<lineEnd].split(whereSeparator: { " /\t".contains($0) }).last.map(String.init) ?? ""
        guard ["sh", "bash", "dash", "zsh", "ksh", "ash"].contains(interpreter) || isShellWithFlags(rest[..<lineEnd])
        else { return nil }
        let first = rest[..<lineEnd] + "\n"
        return first + block(of: hook) + (lineEnd < rest.endIndex ? rest[rest.index(after: lineEnd)...] : "")
    }

    /// `#!/bin/sh -e` and the like.
    private func isShellWithFlags(_ line: Substring) -> Bool {
        let words = line.split(separator: " ")
        guard let last = words.last, last.hasPrefix("-"), words.count > 1 else { return false }
        let interpreter = words[words.count - 2].split(separator: "/").last ?? ""
        return ["sh", "bash", "dash", "zsh", "ksh", "ash"].contains(interpreter.replacing("#!", with: ""))
    }

    /// `text` without the block; empty if nothing but an interpreter's line is left.
    func removing(from text: String) -> String {
        var kept: [Substring.UTF8View] = []
        var isInside = false
        // Bytes: two spellings of a name are two projects.
        for line in HookScript.lines(of: text) {
            if line.elementsEqual(beginning.utf8) { isInside = true }
            if !isInside { kept.append(line) }
            if line.elementsEqual(end.utf8) { isInside = false }
        }
        // A block whose end is gone is not ours to guess.
        if isInside { return text }
        let rest = String(decoding: Array(kept.joined(separator: "\n".utf8)), as: UTF8.self)
        let isEmpty = kept.map { Substring($0) }.allSatisfy { $0.hasPrefix("#!") || $0.allSatisfy(\.isWhitespace) }
        return isEmpty ? "" : rest
    }

    /// Whether `text` has a block, of whichever project.
    static func hasBlock(_ text: String) -> Bool { lines(of: text).contains { $0.starts(with: mark.utf8) } }

    private static func lines(of text: String) -> [Substring.UTF8View] {
        text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    }

    /// The command of the merge driver, as git's configuration has it; git's own merge of lines where mlops cannot be run.
    var mergeDriver: String {
        let fallback = (executable.map(shellQuoted) ?? "''").replacing("%", with: "%%")
        return """
            mlops=$(command -v mlops) || mlops=\(fallback); \
            if [ -x "$mlops" ]; then "$mlops" merge-pointer %O %A %B %P; code=$?; [ $code -gt 1 ] || exit $code; \
            else echo 'warning: mlops was not found, so git merges the lines of a pointer' >&2; fi; \
            git merge-file --marker-size=%L -L ours -L base -L theirs %A %O %B
            """
    }
}

/// `text` as one word of a shell.
func shellQuoted(_ text: String) -> String { "'" + text.replacing("'", with: "'\\''") + "'" }
