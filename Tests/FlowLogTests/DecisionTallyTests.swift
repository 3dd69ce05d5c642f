import FlowLog
import NSGModel
import Testing

@Suite("Decisions by rule (F5)")
struct DecisionTallyTests {
    @Test("each rule that was asked counts, none behind the one that refused; repeats count as packets")
    func counts() throws {
        var tally = DecisionTally()
        var passedOn = try Fixture.web(.began)
        passedOn.facts.isPassedOn = true
        var judgedAgain = try Fixture.web(.ended(.uncounted))
        judgedAgain.repeats = 4
        for record in [
            try Fixture.web(.began), try Fixture.web(.began), passedOn, judgedAgain,
            try Fixture.web(.continued(.uncounted)),
            try Fixture.refused(), try Fixture.refused(.deniedAgain(41)),
        ] { tally.add(record) }
        let rules = Dictionary(
            uniqueKeysWithValues: tally.rules.map { ("\($0.rule.name) \($0.direction.rawValue)", $1) })
        #expect(rules == ["web Outbound": 7, "AllowInternetOutBound Outbound": 7, "DenyAllInBound Inbound": 42])
        #expect(tally.allowed == 6)
        #expect(tally.denied == 42)
    }

    @Test("the platform has counters of its own")
    func countsThePlatform() throws {
        var tally = DecisionTally()
        for change in [FlowChange.began, .denied] {
            var record = try Fixture.web(change)
            record.facts.stages = []
            record.facts.isPlatform = true
            tally.add(record)
        }
        #expect(tally.rules == [.platform(.allow): 1, .platform(.deny): 1])
    }
}
