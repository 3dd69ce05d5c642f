import NetworkTypes
import Testing

@Suite struct AddressTests {
    @Test("reads and prints IPv4", arguments: ["0.0.0.0", "10.1.2.3", "255.255.255.255", "168.63.129.16"])
    func v4(text: String) throws {
        #expect(try #require(IPv4Address(text)).description == text)
        #expect(try #require(IPAddress(text)).family == .ipv4)
    }

    @Test(
        "refuses what is no IPv4 address",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.04", "+1.2.3.4", "1.-2.3.4", "1..3.4",
            "1.2.3.4 ",
            "0x1.2.3.4", "１.2.3.4", "1.2.3.4/8", "1.2.3.99999999999999999999",
        ])
    func notV4(text: String) { #expect(IPv4Address(text) == nil) }

    /// RFC 5952, section 4, and its examples.
    static let six: [(String, String)] = [
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::1", "2001:db8::1"),
        ("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("::ffff:192.0.2.1", "::ffff:c000:201"),
        ("fe80:0:0:0:0:0:0:1", "fe80::1"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("0:0:0:0:0:0:13.1.68.3", "::d01:4403"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ]

    @Test("reads and prints IPv6", arguments: six)
    func v6(text: String, canonical: String) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.description == canonical)
        #expect(IPv6Address(canonical) == address)
        #expect(IPAddress(bytes: IPAddress.v6(address).bytes) == .v6(address))
    }

    @Test(
        "refuses what is no IPv6 address",
        arguments: [
            "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "fe80::1%eth0", "::+1",
            "::-1",
            "1.2.3.4::", "::1.2.3", "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:",
            "1:2:3:4:5:6:7:8::", "[::1]",
        ])
    func notV6(text: String) { #expect(IPv6Address(text) == nil) }

    @Test("IPv4 sorts before IPv6; bytes of another count are no address")
    func orderAndBytes() throws {
        #expect(try #require(IPAddress("255.255.255.255")) < #require(IPAddress("::")))
        #expect(IPAddress(bytes: [10, 0, 0, 1])?.description == "10.0.0.1")
        #expect(IPAddress(bytes: [10, 0, 0]) == nil)
    }

    static let prefixes: [(String, String, hostBits: Bool)] = [
        ("10.0.0.0/8", "10.0.0.0/8", false), ("10.0.0.1/8", "10.0.0.0/8", true), ("10.0.0.1", "10.0.0.1/32", false),
        ("0.0.0.0/0", "0.0.0.0/0", false), ("1.2.3.4/0", "0.0.0.0/0", true), ("10.0.0.255/31", "10.0.0.254/31", true),
        ("fd00::1/64", "fd00::/64", true), ("::/0", "::/0", false), ("::1", "::1/128", false),
        ("fd00::/7", "fc00::/7", true),
    ]

    @Test("prefixes are canonical", arguments: prefixes)
    func prefix(text: String, canonical: String, hostBits: Bool) throws {
        #expect(try #require(IPPrefix(text)).description == canonical)
        #expect(IPPrefix.hasHostBits(text) == hostBits)
    }

    @Test(
        "refuses what is no prefix",
        arguments: [
            "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/0008",
            "10.0.0.0/255.0.0.0", "any", "*",
        ])
    func notPrefix(text: String) { #expect(IPPrefix(text) == nil) }

    @Test("holds its first and last address, and neither neighbour")
    func contains() throws {
        let prefix = try #require(IPPrefix("10.1.4.0/22"))
        for (address, isIn) in [
            ("10.1.3.255", false), ("10.1.4.0", true), ("10.1.7.255", true), ("10.1.8.0", false), ("::", false),
        ] {
            #expect(prefix.contains(try #require(IPAddress(address))) == isIn, "\(address)")
        }
        let wide = try #require(IPPrefix("10.0.0.0/8"))
        let six = try #require(IPPrefix("::/0"))
        #expect(wide.overlaps(prefix) && prefix.overlaps(wide) && !prefix.overlaps(six) && !six.overlaps(prefix))
    }

    @Test("MAC addresses", arguments: ["00-0D-3A-8A-51-8E", "00:0d:3a:8a:51:8e", "000D3A8A518E"])
    func mac(text: String) throws { #expect(try #require(MACAddress(text)).description == "000D3A8A518E") }

    @Test(
        "refuses what is no MAC address",
        arguments: [
            "", "00-0D-3A-8A-51", "00-0D:3A-8A-51-8E", "000D3A8A518", "000D3A8A518EE", "+00D3A8A518E",
            "00-0D-3A-8A-51-8G",
            "0-00D-3A-8A-51-8E", "-----000D3A8A518E",
        ])
    func notMAC(text: String) { #expect(MACAddress(text) == nil, "\(text)") }

    @Test("protocols by name in any case, and by number")
    func protocols() {
        #expect(IPProtocol("tcp") == .tcp)
        #expect(IPProtocol("Icmpv6") == .icmpv6)
        #expect(IPProtocol("47") == .gre)
        #expect(IPProtocol("256") == nil)
        #expect(IPProtocol("+6") == nil)
        #expect(IPProtocol(rawValue: 99).description == "99")
        #expect(IPProtocol.withPorts.allSatisfy(\.hasPorts) && !IPProtocol.icmp.hasPorts && !IPProtocol.esp.hasPorts)
    }
}
