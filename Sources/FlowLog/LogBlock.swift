import NSGModel

/// A record of an Azure flow log that is due to be written: it goes to the end of the file at `path` (`BlockFile`).
package struct LogBlock: Hashable, Sendable {
    /// Relative to the log folder; every component is a plain file name.
    package var path: String
    /// One JSON object in one line.
    package var record: [UInt8]
    package var hour: LogHour
    /// How many tuples the record holds (F5).
    package var tupleCount: Int
}

/// The id in capitals as Azure's folders have it, `/SUBSCRIPTIONS/…`. A name that would leave the log folder or that no
/// file can have is defused: `.`, `..` and control characters become `_`.
func folders(of id: ResourceID) -> String {
    id.description.uppercased().split(separator: "/").map { "/" + fileName($0) }.joined()
}

/// One component of a path; see `folders(of:)`.
func fileName(_ name: some StringProtocol) -> String {
    if name == "." || name == ".." { return "_" }
    return String(
        String.UnicodeScalarView(
            name.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f || $0 == "/" ? "_" : $0 }))
}
