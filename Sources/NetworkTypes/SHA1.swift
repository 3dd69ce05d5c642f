/// SHA-1 (RFC 3174), for names, not for secrets: name-based UUIDs (RFC 9562, version 5) and content addresses of chains
/// and sets.
package enum SHA1 {
    /// 20 bytes. O(n).
    package static func digest(of message: some Collection<UInt8>) -> [UInt8] {
        var block = Array(message)
        block.append(0x80)
        block += Array(repeating: 0, count: (120 - block.count % 64) % 64)
        block += (UInt64(message.count) * 8).bigEndianBytes

        var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
        var words = [UInt32](repeating: 0, count: 80)
        for start in stride(from: 0, to: block.count, by: 64) {
            for index in 0..<16 {
                words[index] = block[(start + 4 * index)..<(start + 4 * index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
            }
            for index in 16..<80 {
                words[index] = rotate(
                    words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], by: 1)
            }
            var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
            for index in 0..<80 {
                let (mix, constant): (UInt32, UInt32) =
                    switch index / 20 {
                    case 0: ((b & c) | (~b & d), 0x5a82_7999)
                    case 1: (b ^ c ^ d, 0x6ed9_eba1)
                    case 2: ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc)
                    default: (b ^ c ^ d, 0xca62_c1d6)
                    }
                let next = rotate(a, by: 5) &+ mix &+ e &+ constant &+ words[index]
                (a, b, c, d, e) = (next, a, rotate(b, by: 30), c, d)
            }
            for (index, word) in [a, b, c, d, e].enumerated() { state[index] &+= word }
        }
        return state.flatMap(\.bigEndianBytes)
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
