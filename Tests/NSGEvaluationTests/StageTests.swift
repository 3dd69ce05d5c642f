import NSGEvaluation
import NSGModel
import NetworkTypes
import Testing

/// S2, S3: which lists are asked, and in which order.
@Suite struct StageTests {
    /// What subnet and NIC say (nil: no group), and what comes of it.
    static let conjunctions: [(subnet: Access?, nic: Access?, outcome: Access, stages: Int)] = [
        (nil, nil, .allow, 0), (.allow, nil, .allow, 1), (.deny, nil, .deny, 1), (nil, .allow, .allow, 1),
        (nil, .deny, .deny, 1), (.allow, .allow, .allow, 2), (.allow, .deny, .deny, 2), (.deny, .allow, .deny, 2),
        (.deny, .deny, .deny, 2),
    ]

    @Test("every group that is present must allow", arguments: conjunctions)
    func conjunction(subnet: Access?, nic: Access?, outcome: Access, stages: Int) throws {
        for direction in Direction.allCases {
            var lab = Lab()
            if let subnet {
                lab.group("subnet", rule("s", 100, direction, subnet))
                lab.guardSubnet(of: "one", with: "subnet")
            }
            if let nic { lab.group("nic", rule("n", 100, direction, nic)) }
            lab.interface("a", "10.1.0.4", group: nic.map { _ in "nic" })
            let decision = lab.decision(try flow("TCP 203.0.113.1 5000 10.1.0.4 443"), at: "a", direction)
            #expect(decision.access == outcome)
            #expect(decision.stages.count == stages)
            // The first that denies is named, else the last that allows.
            let order: [(String, Access?)] =
                direction == .inbound ? [("s", subnet), ("n", nic)] : [("n", nic), ("s", subnet)]
            let present = order.filter { $0.1 != nil }
            #expect(decision.stages.map(\.rule.name) == present.map(\.0))
            #expect(decision.deciding?.rule.name == (present.first { $0.1 == .deny } ?? present.last)?.0)
        }
    }

    @Test("one group on subnet and NIC is asked twice (FACTS a2)")
    func sharedGroup() throws {
        var lab = Lab()
        lab.group("g", rule("web", 100, .inbound, .allow, .tcp, ports: "80"))
        lab.guardSubnet(of: "one", with: "g")
        lab.interface("a", "10.1.0.4", group: "g")
        let decision = lab.decision(try flow("TCP 203.0.113.1 5000 10.1.0.4 80"), at: "a", .inbound)
        #expect(decision.stages.map(\.level) == [.subnet, .nic])
        #expect(decision.stages.map(\.rule.name) == ["web", "web"])
    }

    @Test("platform and link traffic keep their answer, and pass (S12, K5)")
    func exempt() throws {
        var lab = Lab()
        lab.group("g", rule("none", 100, .inbound, .deny))
        lab.interface("a", "10.1.0.4", group: "g")
        let decision = lab.decision(try flow("UDP 168.63.129.16 67 10.1.0.4 68"), at: "a", .inbound)
        #expect(decision.access == .deny)
        #expect(decision.platform == .link && decision.passes)
    }

    @Test("an interface that is not in the estate has no lists")
    func unknownInterface() throws {
        let decision = Lab().decision(try flow("TCP 10.1.0.1 1 10.1.0.2 2"), at: "nobody", .inbound)
        #expect(decision.access == .allow && decision.stages.isEmpty)
    }
}
