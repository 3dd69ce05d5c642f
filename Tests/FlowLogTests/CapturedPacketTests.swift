import FlowLog
import JSONText
import NSGModel
import Testing

@Suite("F7: captured packets")
struct CapturedPacketTests {
    private static func packet(_ records: FlowRecord..., bytes: [UInt8] = [0x45, 0, 0xff]) -> CapturedPacket {
        CapturedPacket(time: Fixture.time, bytes: bytes, length: 60, records: records)
    }

    @Test("the comment names the rule that decided, and those before it")
    func comments() throws {
        #expect(
            try Self.packet(Fixture.web(.began)).comment
                == "Allow snet-nsg/AllowInternetOutBound (defaultSecurityRules/AllowInternetOutBound, subnet, priority 65001), "
                + "outbound at web1-nic; allowed by web-nsg/web (securityRules/web, nic, priority 200)")
        #expect(
            try Self.packet(Fixture.refused()).comment
                == "Deny snet-nsg/DenyAllInBound (defaultSecurityRules/DenyAllInBound, subnet, priority 65500), "
                + "inbound at web1-nic", "what a list behind it would say decided nothing")
        var platform = try Fixture.web(.began)
        platform.facts.isPlatform = true
        platform.facts.stages = []
        var ungrouped = platform
        ungrouped.facts.isPlatform = false
        ungrouped.facts.interface.networkInterface = nil
        #expect(
            Self.packet(platform, ungrouped).comment
                == "Allow by the platform, outbound at web1-nic\nAllow without a security group, outbound at veth-web1")
    }

    @Test("the client gets what the daemon sent", arguments: 0..<20)
    func roundTrip(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + 200) }
        let sent = try Self.packet(Fixture.refused(), Fixture.web(.began), bytes: bytes)
        let text = sent.json.text()
        let read = try #require(CapturedPacket(JSONValue(parsing: text, dialect: .json)))
        #expect(read.bytes == bytes && read.time == sent.time && read.length == 60 && read.comment == sent.comment)
        let size = try CapturedPacket.size(bytes: bytes, records: [Fixture.refused(), Fixture.web(.began)])
        #expect((text.utf8.count...text.utf8.count + 400).contains(size), "\(size) for \(text.utf8.count)")
        #expect(read.flow == "TCP 203.0.113.77:40000 > 10.1.0.4:22")
        let filed = read.pcapng(dropped: 3)
        #expect(filed.interface.name == "veth-web1" && filed.interface.description == Fixture.nic.description)
        #expect(filed.isInbound && filed.dropped == 3)
    }

    @Test(
        "what is no packet is none",
        arguments: [
            #"{}"#, #"{"nanoseconds": -1, "bytes": "", "length": 1, "decisions": [{}]}"#,
            #"{"nanoseconds": 1, "bytes": "", "length": 1, "decisions": []}"#,
            #"{"nanoseconds": 1, "bytes": "AAA", "length": 1, "decisions": [{}]}"#,
            #"{"nanoseconds": 1, "bytes": "AB==", "length": 1, "decisions": [{}]}"#,
            #"{"nanoseconds": 1, "bytes": "A=AA", "length": 1, "decisions": [{}]}"#,
            #"{"nanoseconds": 1, "bytes": "====", "length": 1, "decisions": [{}]}"#,
            #"{"nanoseconds": 1, "bytes": "AA-A", "length": 1, "decisions": [{}]}"#,
        ])
    func refuses(text: String) throws {
        #expect(try CapturedPacket(JSONValue(parsing: text, dialect: .json)) == nil)
    }
}
