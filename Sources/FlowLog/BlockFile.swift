/// A file of records that grows and is a JSON document after every write (F3): `{"records":[RECORD,RECORD]}`.
///
/// A record is appended by one `pwrite` that begins on the closing `]}` and ends with a new one. What holds then: no
/// other file is needed, no byte of an earlier record is touched, and whoever reads the file between two writes reads
/// valid JSON. A reader whose `read` runs at the same moment as the `pwrite` is safe where the file system makes the
/// two exclude each other (XFS does; ext4, btrfs and tmpfs do not): elsewhere it may see the old length with the
/// closing already overwritten, and finds the document whole when it reads again. A machine that dies inside the write
/// leaves a torn end, which `BlockFileScanner` finds.
package enum BlockFile {
    static let opening = #"{"records":["#
    static let closing = "]}"
    /// A document without records.
    static let blank = opening + closing

    /// Bytes to put at an offset with one `pwrite`.
    package struct Write: Hashable, Sendable {
        package var offset: UInt64
        package var bytes: [UInt8]
    }

    /// How many bytes of the end `append` needs to see.
    package static let tailLength = 3

    /// How to append a record to a file of `length` bytes that ends with `tail` (its last `tailLength` bytes, all of a
    /// shorter file). Nil where that is not the end of such a file: scan and repair it first.
    package static func append(_ record: [UInt8], length: UInt64, tail: some Collection<UInt8>) -> Write? {
        if length == 0 { return Write(offset: 0, bytes: Array(opening.utf8) + record + Array(closing.utf8)) }
        guard length >= UInt64(blank.utf8.count) else { return nil }
        let bytes = record + Array(closing.utf8)
        let offset = length - UInt64(closing.utf8.count)
        if tail.elementsEqual("}]}".utf8) { return Write(offset: offset, bytes: [UInt8(ascii: ",")] + bytes) }
        if tail.elementsEqual("[]}".utf8) { return Write(offset: offset, bytes: bytes) }
        return nil
    }

    /// How long the file is behind a record of `count` bytes, if it was `length` bytes before.
    package static func length(appending count: Int, to length: UInt64) -> UInt64 {
        let isFirst = length <= UInt64(blank.utf8.count)
        return max(length, UInt64(blank.utf8.count)) + UInt64(count) + (isFirst ? 0 : 1)
    }

    package enum Condition: Hashable, Sendable {
        /// No byte: the first append writes the whole document.
        case empty
        case intact(records: Int)
        case torn(Repair)
    }

    /// Makes a torn file a document again: truncate it to `length`, then perform `write`. Both may be repeated; dying
    /// in between leaves a file that is torn, and that a later repair makes the same.
    package struct Repair: Hashable, Sendable {
        /// Behind the last complete record, or 0.
        package var length: UInt64
        package var write: Write
        /// Complete records that stay.
        package var records: Int
        /// Bytes from `length` to the end of the file, which hold no complete record that follows on the ones before.
        package var discarded: UInt64
    }
}

/// Reads a `BlockFile` from its first byte, in pieces of any size, and tells whether it is whole and how to repair it.
/// O(1) of memory. It trusts no tail: a crash can persist the pages of one write in any order, and leave zeros between.
///
/// It looks at quotation marks and brackets only. That is enough, as what is left of a record that was whole when it
/// was written is recognised by these.
package struct BlockFileScanner: Sendable {
    private enum State: Hashable {
        case opening(matched: Int)
        case beforeFirst
        case afterComma
        case inRecord(depth: Int)
        case inString(depth: Int, isEscape: Bool)
        case afterRecord
        case afterBracket
        case closed
        /// What follows cannot be part of the document.
        case broken
    }

    private static let opening = Array(BlockFile.opening.utf8)
    private var state = State.opening(matched: 0)
    private var length: UInt64 = 0
    /// Behind the last complete record, or behind the opening; 0 before that.
    private var keep: UInt64 = 0
    private var records = 0

    package init() {}

    package mutating func scan(_ piece: Span<UInt8>) {
        for index in piece.indices {
            guard state != .broken else { break }
            state = next(piece[index], at: length + UInt64(index))
        }
        length += UInt64(piece.count)
    }

    /// What the pieces so far make as a whole file.
    package var condition: BlockFile.Condition {
        if length == 0 { return .empty }
        if state == .closed { return .intact(records: records) }
        let ending = keep == 0 ? BlockFile.blank : BlockFile.closing
        return .torn(
            BlockFile.Repair(
                length: keep, write: BlockFile.Write(offset: keep, bytes: Array(ending.utf8)), records: records,
                discarded: length - keep))
    }

    private mutating func next(_ byte: UInt8, at offset: UInt64) -> State {
        switch (state, byte) {
        case (.opening(let matched), _):
            guard byte == Self.opening[matched] else { return .broken }
            if matched + 1 < Self.opening.count { return .opening(matched: matched + 1) }
            keep = offset + 1
            return .beforeFirst
        case (.beforeFirst, UInt8(ascii: "{")), (.afterComma, UInt8(ascii: "{")): return .inRecord(depth: 1)
        case (.beforeFirst, UInt8(ascii: "]")), (.afterRecord, UInt8(ascii: "]")): return .afterBracket
        case (.afterRecord, UInt8(ascii: ",")): return .afterComma
        case (.afterBracket, UInt8(ascii: "}")): return .closed
        case (.inRecord(let depth), _): return nextInRecord(byte, depth: depth, at: offset)
        case (.inString, 0..<0x20): return .broken
        case (.inString(let depth, true), _): return .inString(depth: depth, isEscape: false)
        case (.inString(let depth, false), UInt8(ascii: "\"")): return .inRecord(depth: depth)
        case (.inString(let depth, false), _): return .inString(depth: depth, isEscape: byte == UInt8(ascii: "\\"))
        default: return .broken
        }
    }

    private mutating func nextInRecord(_ byte: UInt8, depth: Int, at offset: UInt64) -> State {
        switch byte {
        case 0..<0x20: return .broken
        case UInt8(ascii: "\""): return .inString(depth: depth, isEscape: false)
        case UInt8(ascii: "{"), UInt8(ascii: "["): return .inRecord(depth: depth + 1)
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            if depth > 1 { return .inRecord(depth: depth - 1) }
            keep = offset + 1
            records += 1
            return .afterRecord
        default: return .inRecord(depth: depth)
        }
    }
}
