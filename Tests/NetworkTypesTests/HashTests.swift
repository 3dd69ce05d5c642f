import NetworkTypes
import Testing

@Suite struct HashTests {
    /// RFC 3174, section 7.3, FIPS 180-1, and the lengths at which padding takes another block.
    static let digests: [(String, String)] = [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        (String(repeating: "a", count: 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        (String(repeating: "a", count: 56), "c2db330f6083854c99d4b5bfb6e8f29f201be699"),
        (String(repeating: "a", count: 63), "03f09f5b158a7a8cdad920bddc29b81c18a551f5"),
        (String(repeating: "a", count: 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
        (String(repeating: "a", count: 1000), "291e9a6c66994949b57ba5e650361e98fc36b1ba"),
    ]

    @Test("SHA-1", arguments: digests)
    func sha1(text: String, digest: String) {
        #expect(SHA1.digest(of: Array(text.utf8)).map { hexadecimal($0) }.joined() == digest)
    }

    @Test("UUIDs by name are version 5 in the namespace of URLs")
    func uuid() {
        // As `uuidgen --sha1 --namespace @url --name …` gives them.
        #expect(UUID(named: "https://www.example.com/").description == "3d3ed9d2-aa3d-5fa6-90e8-ed662e90f559")
        #expect(UUID(named: "").description == "1b4db7eb-4057-5ddf-91e0-36dec72071f5")
    }

    @Test("UUIDs are read in any case, and nothing else is")
    func reads() {
        #expect(
            UUID("6BA7B811-9DAD-11D1-80B4-00C04FD430C8")?.description == "6ba7b811-9dad-11d1-80b4-00c04fd430c8")
        for text in ["", "6ba7b811", "6ba7b8119dad11d180b400c04fd430c8", "6ba7b811-9dad-11d1-80b4-00c04fd430cg", "{}"] {
            #expect(UUID(text) == nil)
        }
    }
}
