/// A report that can be read by people. As JSON it is what it encodes.
package protocol TextRenderable {
    /// The report in words and tables; a newline at the end is added if it is missing. Empty prints nothing.
    func text(_ style: TextStyle) -> String

    /// What `--quiet` prints: the one value that a script wants (a digest, a version, a path), one a line; empty for nothing.
    var essence: String { get }
}

extension TextRenderable {
    package var essence: String { "" }
}
