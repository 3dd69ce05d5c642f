/// SHA-1 (RFC 3174), for names, not for secrets: name-based UUIDs (RFC 9562, version 5) and content addresses of chains
/// and sets.
package enum SHA1 {
    /// 20 bytes. O(n).
    package static func digest(of message: some Collection<UInt8>) -> [UInt8] {
        words(of: message).flatMap(\.bigEndianBytes)
    }

    /// The digest as five words, the first the most significant. O(n).
    package static func words(of message: some Collection<UInt8>) -> [UInt32] {
        var block = Array(message)
        block.append(0x80)
        block += repeatElement(0, count: (120 - block.count % 64) % 64)
        block += (UInt64(message.count) * 8).bigEndianBytes

        var state = State()
        for start in stride(from: 0, to: block.count, by: 64) { state.take(block, from: start) }
        return [state.a, state.b, state.c, state.d, state.e]
    }

    private struct State {
        var a: UInt32 = 0x6745_2301
        var b: UInt32 = 0xefcd_ab89
        var c: UInt32 = 0x98ba_dcfe
        var d: UInt32 = 0x1032_5476
        var e: UInt32 = 0xc3d2_e1f0

        /// 64 bytes.
        mutating func take(_ bytes: [UInt8], from start: Int) {
            var words = InlineArray<80, UInt32>(repeating: 0)
            for index in 0..<16 {
                let at = start + 4 * index
                words[index] =
                    UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8
                    | UInt32(bytes[at + 3])
            }
            for index in 16..<80 {
                words[index] = rotate(
                    words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], by: 1)
            }
            let before = self
            for index in 0..<20 { step((b & c) | (~b & d), 0x5a82_7999, words[index]) }
            for index in 20..<40 { step(b ^ c ^ d, 0x6ed9_eba1, words[index]) }
            for index in 40..<60 { step((b & c) | (b & d) | (c & d), 0x8f1b_bcdc, words[index]) }
            for index in 60..<80 { step(b ^ c ^ d, 0xca62_c1d6, words[index]) }
            a &+= before.a
            b &+= before.b
            c &+= before.c
            d &+= before.d
            e &+= before.e
        }

        private mutating func step(_ mix: UInt32, _ constant: UInt32, _ word: UInt32) {
            let next = rotate(a, by: 5) &+ mix &+ e &+ constant &+ word
            (a, b, c, d, e) = (next, a, rotate(b, by: 30), c, d)
        }
    }

    private static func rotate(_ word: UInt32, by count: UInt32) -> UInt32 { word << count | word >> (32 - count) }
}

/// A UUID in its text form of 8-4-4-4-12 lower-case digits.
package struct UUID: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// Reads the text form, in any case.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [8, 4, 4, 4, 12],
            parts.allSatisfy({ $0.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || isHexLetter($0) } })
        else { return nil }
        description = text.lowercased()
    }

    /// The version 5 UUID of `name` in the namespace of URLs (RFC 9562, section 6.6).
    package init(named name: String) {
        let namespace: [UInt8] = [
            0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
        ]
        var bytes = Array(SHA1.digest(of: namespace + Array(name.utf8)).prefix(16))
        bytes[6] = bytes[6] & 0x0f | 0x50
        bytes[8] = bytes[8] & 0x3f | 0x80
        let digits = bytes.map { hexadecimal($0) }
        let groups = [0..<4, 4..<6, 6..<8, 8..<10, 10..<16]
        description = groups.map { digits[$0].joined() }.joined(separator: "-")
    }

    package static let zero = UUID(zero: ())
    private init(zero: ()) { description = "00000000-0000-0000-0000-000000000000" }
}

private func isHexLetter(_ byte: UInt8) -> Bool {
    UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "F") ~= byte
}
