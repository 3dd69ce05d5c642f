internal import Glibc

/// A file of `Tests/Golden`; with `UPDATE_GOLDEN=1` in the environment it is written instead of compared.
package struct Golden: Sendable {
    package let path: String

    /// - Parameter name: `case/ruleset.nft`.
    package init(_ name: String, testFile: StaticString = #filePath) {
        // Tests/TARGET/FILE.swift
        let folders = "\(testFile)".split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        path = folders.joined(separator: "/") + "/Golden/" + name
    }

    package static let isUpdating: Bool = unsafe getenv("UPDATE_GOLDEN").map { unsafe strcmp($0, "1") == 0 } ?? false

    /// The first line in which `text` differs from the file, both as they stand; nil where they are equal.
    package func difference(from text: String) throws -> String? {
        if Self.isUpdating {
            // Nothing comes back, so that no pipe can fill while the text is written.
            try run(["sh", "-c", "mkdir -p \"$(dirname \"$0\")\" && cat > \"$0\"", path], input: text)
            return nil
        }
        let expected = try run(["cat", path])
        if expected == text { return nil }
        let old = expected.split(separator: "\n", omittingEmptySubsequences: false)
        let new = text.split(separator: "\n", omittingEmptySubsequences: false)
        let line =
            zip(old, new).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(old.count, new.count)
        let at = { (lines: [Substring]) in line < lines.count ? String(lines[line]) : "(end)" }
        return "\(path):\(line + 1):\n- \(at(old))\n+ \(at(new))\nUPDATE_GOLDEN=1 rewrites it"
    }
}
