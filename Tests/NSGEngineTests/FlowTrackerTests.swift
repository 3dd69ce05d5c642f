import FlowLog
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Testing

@Suite("Flow tracker (F1, F2, F4)")
struct FlowTrackerTests {
    let policy: Policy
    var tracker: FlowTracker
    let flow: FlowTuple
    let label: UInt128

    init() throws {
        policy = try TwoMachines.policy()
        tracker = FlowTracker(attributor: Attributor(policy: policy))
        flow = try TwoMachines.flow(port: 80)
        label = try TwoMachines.label(in: policy)
    }

    private func packet(_ mark: DecisionMark, _ flow: FlowTuple, second: UInt64 = 100) -> JudgedPacket {
        JudgedPacket(
            time: Timestamp(seconds: second), mark: mark, entryDevice: "v-db", exitDevice: "v-web", flow: flow,
            bytes: 60)
    }

    private func connection(_ totals: FlowCounters? = nil, label: UInt128? = nil, isClosed: Bool = false) -> Connection
    {
        Connection(id: 7, flow: flow, label: label, totals: totals, isClosed: isClosed)
    }

    private func summary(_ records: [FlowRecord]) -> [String] {
        records.map { record in
            let rules = record.stages.map { $0.rule.name + ($0.isDerived ? "?" : "") }.joined(separator: "+")
            let nic = record.interface.networkInterface?.name ?? "-"
            return "\(nic) \(record.direction.rawValue) \(record.change.letter) \(rules)"
        }
    }

    private let began = ["db1 Outbound B AllowVnetOutBound", "web1 Inbound B AllowWeb"]

    @Test("a packet and its connection make one B at each interface, whichever comes first", arguments: [true, false])
    mutating func begins(packetFirst: Bool) {
        let first = packetFirst ? tracker.judged(packet(.allowed, flow)) : tracker.appeared(connection(label: label))
        #expect(first.isEmpty)
        let second = packetFirst ? tracker.appeared(connection(label: label)) : tracker.judged(packet(.allowed, flow))
        #expect(summary(second) == began)
        #expect(second.allSatisfy { $0.flowID == 7 })
    }

    @Test("without a connection the evaluator says which rules allowed, marked derived, after a second")
    mutating func derives() {
        let result1 = tracker.judged(packet(.allowed, flow))
        #expect(result1.isEmpty)
        let result2 = tracker.tick(now: Timestamp(milliseconds: 100_900))
        #expect(result2.isEmpty)
        let records = tracker.tick(now: Timestamp(seconds: 101))
        #expect(summary(records) == ["db1 Outbound B AllowVnetOutBound?", "web1 Inbound B AllowWeb?"])
        let result3 = tracker.tick(now: Timestamp(seconds: 200))
        #expect(result3.isEmpty)
    }

    @Test("C and E carry increments whose sum is the connection's")
    mutating func counts() throws {
        _ = tracker.appeared(connection(label: label))
        _ = tracker.judged(packet(.allowed, flow))
        let totals = [1, 5, 9].map { UInt64($0) }.map {
            FlowCounters(packetsSent: $0, bytesSent: $0 * 100, packetsReceived: $0 - 1, bytesReceived: $0 * 10)
        }
        var records = tracker.reconcile([connection(totals[0])], continues: true, at: Timestamp(seconds: 300))
        records += tracker.reconcile([connection(totals[1])], continues: true, at: Timestamp(seconds: 600))
        records += tracker.ended(connection(totals[2]), at: Timestamp(seconds: 700))
        let web = records.filter { $0.interface.networkInterface?.name == "web1" }
        #expect(web.map(\.change.letter) == ["C", "C", "E"])
        let sum = web.reduce(UInt64(0)) { sum, record in
            switch record.change {
            case .continued(.counted(let counters)), .ended(.counted(let counters)): sum + counters.bytesSent
            default: sum
            }
        }
        #expect(sum == 900)
        #expect(tracker.liveFlows == 0)
    }

    @Test("a connection that closes gets its E from its totals, and a second one only for what came later")
    mutating func closes() {
        _ = tracker.appeared(connection(label: label))
        _ = tracker.judged(packet(.allowed, flow))
        let result4 = tracker.changed(connection(isClosed: true)).hasClosed
        #expect(result4)
        let result5 = tracker.changed(connection(isClosed: true)).hasClosed
        #expect(!result5, "asked for its totals once")
        let totals = FlowCounters(packetsSent: 4, bytesSent: 400, packetsReceived: 3, bytesReceived: 300)
        let result6 = tracker.closed(connection(totals), at: Timestamp(seconds: 110))
        #expect(result6.map(\.change.letter) == ["E", "E"])
        let result7 = tracker.ended(connection(totals), at: Timestamp(seconds: 230))
        #expect(result7.isEmpty)
    }

    @Test("a connection that is refused by its peer, over before its packet comes, has B and E")
    mutating func endsEarly() {
        let totals = FlowCounters(packetsSent: 1, bytesSent: 60, packetsReceived: 1, bytesReceived: 40)
        let result8 = tracker.appeared(connection(label: label))
        #expect(result8.isEmpty)
        let result9 = tracker.ended(connection(totals), at: Timestamp(seconds: 100))
        #expect(result9.isEmpty)
        let records = tracker.judged(packet(.allowed, flow))
        #expect(records.map(\.change.letter) == ["B", "B", "E", "E"])
        #expect(tracker.liveFlows == 0)
    }

    @Test("a flow whose packet was lost has no record at all: the packet log is the one source (F2)")
    mutating func staysSilent() {
        _ = tracker.appeared(connection(label: label))
        let totals = FlowCounters(packetsSent: 4, bytesSent: 400, packetsReceived: 3, bytesReceived: 300)
        let result10 = tracker.reconcile([connection(totals)], continues: true, at: Timestamp(seconds: 300))
        #expect(result10.isEmpty)
        let result11 = tracker.ended(connection(totals), at: Timestamp(seconds: 310))
        #expect(result11.isEmpty)
        let result12 = tracker.tick(now: Timestamp(seconds: 320))
        #expect(result12.isEmpty)
        #expect(tracker.liveFlows == 0)
    }

    @Test("flows found at the start are attributed by their labels, also to rules that are no more (E4)")
    mutating func adopts() throws {
        let changed = try TwoMachines.policy(webPort: 8080, numbering: policy.numbering)
        tracker = FlowTracker(attributor: Attributor(policy: changed))
        let result13 = tracker.appeared(connection(label: label), isKnownFromBefore: true)
        #expect(result13.isEmpty)
        let totals = FlowCounters(packetsSent: 4, bytesSent: 400, packetsReceived: 3, bytesReceived: 300)
        let records = tracker.ended(connection(totals), at: Timestamp(seconds: 310))
        #expect(summary(records) == ["db1 Outbound E AllowVnetOutBound", "web1 Inbound E AllowWeb"])
        #expect(records.allSatisfy { $0.attribution == .label })
    }

    @Test("a deny is logged where it fell, the interface before it has a flow that ends unanswered")
    mutating func denies() throws {
        let refused = try TwoMachines.flow(port: 81)
        let number = try TwoMachines.number("DenyRest", of: "web", in: policy)
        let mark = DecisionMark.denied(LabelSlot(side: .exit, level: .nic), number)
        let result14 = tracker.judged(packet(mark, refused))
        #expect(summary(result14) == ["db1 Outbound B AllowVnetOutBound?", "web1 Inbound D DenyRest"])
        let result15 = tracker.judged(packet(mark, refused, second: 103))
        #expect(summary(result15) == ["web1 Inbound D DenyRest"])
        let end = tracker.tick(now: Timestamp(seconds: 163))
        #expect(summary(end) == ["db1 Outbound E AllowVnetOutBound?"])
        #expect(end.first?.change == .ended(.counted(FlowCounters(packetsSent: 2, bytesSent: 120))))
    }

    @Test("a deny by a rule that the present policy does not have names that rule alone")
    mutating func deniesByThePast() throws {
        let number = try TwoMachines.number("DenyRest", of: "web", in: policy)
        tracker.attributor.policy = try TwoMachines.policy(webPort: 81, numbering: policy.numbering)
        let mark = DecisionMark.denied(LabelSlot(side: .exit, level: .nic), number)
        let records = tracker.judged(packet(mark, try TwoMachines.flow(port: 81)))
        #expect(summary(records).last == "web1 Inbound D DenyRest")
        #expect(records.last?.stages.count == 1)
    }

    @Test("what a dump does not have has ended: its last event has its totals; where that is lost, it ends late (F1)")
    mutating func isMissed() {
        let totals = FlowCounters(packetsSent: 3, bytesSent: 144)
        miss()
        let told = tracker.ended(connection(totals), at: Timestamp(seconds: 301))
        #expect(told.map(\.change) == [.ended(.counted(totals)), .ended(.counted(totals))])

        miss()
        let early = tracker.tick(now: Timestamp(seconds: 364))
        #expect(early.isEmpty)
        let lost = tracker.tick(now: Timestamp(seconds: 365))
        #expect(lost.map(\.change) == [.ended(.uncounted), .ended(.uncounted)])
        #expect(tracker.liveFlows == 0)

        miss()
        let found = tracker.reconcile([connection(totals)], continues: false, at: Timestamp(seconds: 310))
        let later = tracker.tick(now: Timestamp(seconds: 400))
        #expect(found.isEmpty && later.isEmpty && tracker.liveFlows == 1)
    }

    /// A flow that began, and that a dump does not have.
    private mutating func miss() {
        _ = tracker.appeared(connection(label: label))
        _ = tracker.judged(packet(.allowed, flow))
        let records = tracker.reconcile([], continues: true, at: Timestamp(seconds: 300))
        #expect(records.isEmpty)
    }

    @Test("an id that came again is another flow (F1)")
    mutating func resynchronises() throws {
        _ = tracker.appeared(connection(label: label))
        _ = tracker.judged(packet(.allowed, flow))
        let other = try TwoMachines.flow(port: 80, from: 40_001)
        let reused = Connection(id: 7, flow: other, label: label, totals: nil, isClosed: false)
        let records = tracker.reconcile([reused], continues: false, at: Timestamp(seconds: 120))
        #expect(records.map(\.change.letter) == ["E", "E"])
        #expect(records.allSatisfy { $0.flow == flow })
        let result16 = tracker.judged(packet(.allowed, other))
        #expect(summary(result16) == began)
    }

    @Test("a connection that gets its label later than it appears is attributed by it")
    mutating func isLabelledLate() {
        _ = tracker.judged(packet(.allowed, flow))
        let unlabelled = tracker.changed(connection())
        #expect(unlabelled.records.isEmpty)
        let labelled = tracker.changed(connection(label: label))
        #expect(summary(labelled.records) == began)
    }

    @Test("numbers in use are those that live flows carry")
    mutating func tellsNumbers() throws {
        _ = tracker.appeared(connection(label: label))
        #expect(tracker.numbersInUse == Set(FlowLabel.numbers(of: label)))
    }

    @Test("after an orderly end a flow's records go on where the earlier run's left off")
    mutating func continuesCounting() {
        let before = FlowCounters(packetsSent: 1000, bytesSent: 9, packetsReceived: 0, bytesReceived: 0)
        let found = Connection(id: 7, flow: flow, label: label, totals: before, isClosed: false)
        _ = tracker.appeared(found, isKnownFromBefore: true, wasToldOfTotals: true)
        let later = FlowCounters(packetsSent: 1003, bytesSent: 12, packetsReceived: 0, bytesReceived: 0)
        let end = tracker.ended(connection(later), at: Timestamp(seconds: 310))
        #expect(
            end.map(\.change)
                == Array(repeating: .ended(.counted(FlowCounters(packetsSent: 3, bytesSent: 3))), count: 2))
    }

    @Test("beyond its limit a tracker still tells of every packet")
    mutating func isBounded() {
        var limits = FlowTracker.Limits()
        limits.flows = 0
        tracker = FlowTracker(attributor: Attributor(policy: policy), limits: limits)
        _ = tracker.judged(packet(.allowed, flow))
        let appeared = tracker.appeared(connection(label: label))
        #expect(appeared.isEmpty)
        let records = tracker.tick(now: Timestamp(seconds: 102))
        #expect(records.map(\.change.letter) == ["B", "B"])
    }

    @Test("after a flow has idled out its next packet begins another, with a B and an E of its own (S6)")
    mutating func beginsAnew() {
        var letters: [String] = []
        for id: UInt32 in [7, 8] {
            let flow = Connection(id: id, flow: flow, label: label, totals: .zero, isClosed: false)
            letters += tracker.appeared(flow).map(\.change.letter)
            letters += tracker.judged(packet(.allowed, flow.flow, second: 100 * UInt64(id))).map(\.change.letter)
            letters += tracker.ended(flow, at: Timestamp(seconds: 100 * UInt64(id) + 50)).map(\.change.letter)
        }
        #expect(letters == ["B", "B", "E", "E", "B", "B", "E", "E"])
    }

    @Test(
        "a packet that rules take for AH joins the connection that conntrack sees inside it", arguments: [true, false])
    mutating func looksInside(packetFirst: Bool) throws {
        var packet = packet(.allowed, flow)
        packet.flow = FlowTuple(protocol: .ah, source: flow.source, destination: flow.destination)
        let first = packetFirst ? tracker.judged(packet) : tracker.appeared(connection(label: label))
        #expect(first.isEmpty)
        var records = packetFirst ? tracker.appeared(connection(label: label)) : tracker.judged(packet)
        records += tracker.ended(connection(.zero), at: Timestamp(seconds: 110))
        #expect(records.map(\.change.letter) == ["B", "B", "E", "E"])
        #expect(records.allSatisfy { $0.flow == packet.flow && $0.flowID == 7 })
    }
}
