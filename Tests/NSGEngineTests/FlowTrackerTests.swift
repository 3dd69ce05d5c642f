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

    private func packet(
        _ mark: DecisionMark, _ flow: FlowTuple, of connection: Connection? = nil, second: UInt64 = 100
    ) -> JudgedPacket {
        JudgedPacket(
            time: Timestamp(seconds: second), mark: mark, entryDevice: "v-db", exitDevice: "v-web", flow: flow,
            connection: connection, bytes: 60)
    }

    /// Its first packet, with the label.
    private func first(second: UInt64 = 100) -> JudgedPacket {
        packet(.allowed, flow, of: connection(label: label), second: second)
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

    @Test("an allowed packet is one B at each interface, by the rules in its connection's label")
    mutating func begins() {
        let records = tracker.judged(first())
        #expect(summary(records) == began)
        #expect(records.allSatisfy { $0.flowID == 7 && $0.attribution == .packet })
        #expect(tracker.liveFlows == 1)
    }

    @Test("without a connection the evaluator says which rules allowed, marked derived, and nothing is followed")
    mutating func derives() {
        let records = tracker.judged(packet(.allowed, flow))
        #expect(summary(records) == ["db1 Outbound B AllowVnetOutBound?", "web1 Inbound B AllowWeb?"])
        #expect(records.allSatisfy { $0.flowID == nil } && tracker.liveFlows == 0)
    }

    @Test("a connection without a label is older than the policy: judged again with each packet, it begins once (S4)")
    mutating func beginsOnce() {
        let old = packet(.allowed, flow, of: connection())
        let records = tracker.judged(old)
        #expect(summary(records) == ["db1 Outbound B AllowVnetOutBound?", "web1 Inbound B AllowWeb?"])
        let again = tracker.judged(old)
        #expect(again.isEmpty && tracker.liveFlows == 1)
    }

    @Test("C and E carry increments whose sum is the connection's")
    mutating func counts() throws {
        _ = tracker.judged(first())
        let totals = [1, 5, 9].map { UInt64($0) }.map {
            FlowCounters(packetsSent: $0, bytesSent: $0 * 100, packetsReceived: $0 - 1, bytesReceived: $0 * 10)
        }
        var records = tracker.reconcile([connection(totals[0])], for: .continuation, at: Timestamp(seconds: 300))
        records += tracker.reconcile([connection(totals[1])], for: .continuation, at: Timestamp(seconds: 600))
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

    @Test("a connection that is refused by its peer, over before its packet comes, has B and E")
    mutating func endsEarly() {
        let totals = FlowCounters(packetsSent: 1, bytesSent: 60, packetsReceived: 1, bytesReceived: 40)
        let early = tracker.ended(connection(totals), at: Timestamp(seconds: 100))
        #expect(early.isEmpty)
        let records = tracker.judged(first())
        #expect(records.map(\.change.letter) == ["B", "B", "E", "E"])
        #expect(records.last?.change == .ended(.counted(totals)) && tracker.liveFlows == 0)

        // An end of something else, after which much later the same id comes again.
        _ = tracker.ended(connection(totals), at: Timestamp(seconds: 110))
        _ = tracker.tick(now: Timestamp(seconds: 120))
        let later = tracker.judged(first(second: 120))
        #expect(later.map(\.change.letter) == ["B", "B"])
    }

    @Test("a packet whose connection could not be found has the end of its 5-tuple, with derived stages")
    mutating func endsEarlyUnfound() {
        let totals = FlowCounters(packetsSent: 1, bytesSent: 60, packetsReceived: 1, bytesReceived: 40)
        _ = tracker.ended(connection(totals), at: Timestamp(seconds: 100))
        let records = tracker.judged(packet(.allowed, flow))
        #expect(records.map(\.change.letter) == ["B", "B", "E", "E"])
        #expect(records.last?.change == .ended(.counted(totals)))
        #expect(records.allSatisfy { $0.flowID == 7 && $0.stages.allSatisfy(\.isDerived) })
    }

    @Test("each of two connections of the same id and flow has its B and E, in whichever order packets and ends come")
    mutating func repeats() {
        let totals = [1, 2].map { FlowCounters(packetsSent: $0) }
        for order in ["BEBE", "BBEE", "EEBB", "BEEB", "EBBE", "EBEB"] {
            var ends = totals[...]
            var records: [FlowRecord] = []
            for (step, event) in order.enumerated() {
                let second = 100 + UInt64(step)
                records +=
                    event == "B"
                    ? tracker.judged(first(second: second))
                    : tracker.ended(connection(ends.removeFirst()), at: Timestamp(seconds: second))
            }
            let web = records.filter { $0.interface.networkInterface?.name == "web1" }.map(\.change)
            let carried = web.compactMap { if case .ended(.counted(let counters)) = $0 { counters } else { nil } }
            #expect(web.count == 4 && carried == totals, "\(order): \(web)")
            #expect(tracker.liveFlows == 0, "\(order)")
        }
    }

    @Test("a flow whose packet was lost has no record at all: the packet log is the one source (F2)")
    mutating func staysSilent() {
        let totals = FlowCounters(packetsSent: 4, bytesSent: 400, packetsReceived: 3, bytesReceived: 300)
        var records: [FlowRecord] = []
        for purpose in [FlowTracker.DumpPurpose.comparison, .continuation] {
            records += tracker.reconcile(
                [connection(totals, label: label)], for: purpose, at: Timestamp(seconds: 300))
        }
        #expect(tracker.liveFlows == 1, "and yet it is known")
        records += tracker.ended(connection(totals), at: Timestamp(seconds: 310))
        records += tracker.tick(now: Timestamp(seconds: 320))
        #expect(records.isEmpty && tracker.liveFlows == 0)
    }

    @Test("flows found at the start are attributed by their labels, also to rules that are no more (E4)")
    mutating func adopts() throws {
        let changed = try TwoMachines.policy(webPort: 8080, numbering: policy.numbering)
        tracker = FlowTracker(attributor: Attributor(policy: changed))
        let found = tracker.reconcile(
            [connection(label: label)], for: .start(.some([:])), at: Timestamp(seconds: 90))
        #expect(found.isEmpty)
        let totals = FlowCounters(packetsSent: 4, bytesSent: 400, packetsReceived: 3, bytesReceived: 300)
        let records = tracker.ended(connection(totals), at: Timestamp(seconds: 310))
        #expect(summary(records) == ["db1 Outbound E AllowVnetOutBound", "web1 Inbound E AllowWeb"])
        #expect(records.allSatisfy { $0.attribution == .label })
    }

    @Test("a flow that begins while the first dump is read is no flow of an earlier run", arguments: [true, false])
    mutating func beginsDuringDump(packetFirst: Bool) {
        var records: [FlowRecord] = []
        tracker.beginDump()
        if packetFirst { records += tracker.judged(first()) }
        tracker.listed(
            [connection(label: label)], for: .start(.all), at: Timestamp(seconds: 100), into: &records)
        if !packetFirst { records += tracker.judged(first()) }
        tracker.endDump(at: Timestamp(seconds: 101))
        #expect(summary(records) == began && tracker.liveFlows == 1)
        let ended = tracker.ended(connection(.zero), at: Timestamp(seconds: 110))
        #expect(ended.map(\.change.letter) == ["E", "E"] && ended.allSatisfy { $0.attribution == .packet })
    }

    @Test("what ends or begins while a dump is read is neither taken up again nor missed (F1)")
    mutating func changesDuringDump() throws {
        _ = tracker.judged(first())
        let other = Connection(
            id: 8, flow: try TwoMachines.flow(port: 80, from: 40_001), label: label, totals: nil, isClosed: false)
        tracker.beginDump()
        var records = tracker.ended(connection(.zero), at: Timestamp(seconds: 110))
        records += tracker.judged(packet(.allowed, other.flow, of: other, second: 111))
        // Listed before it ended, handed over after.
        tracker.listed([connection(label: label)], for: .continuation, at: Timestamp(seconds: 112), into: &records)
        tracker.endDump(at: Timestamp(seconds: 113))
        records += tracker.tick(now: Timestamp(seconds: 200))
        #expect(records.map(\.change.letter) == ["E", "E", "B", "B"])
        #expect(tracker.liveFlows == 1)
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
        let found = tracker.reconcile([connection(totals)], for: .comparison, at: Timestamp(seconds: 310))
        let later = tracker.tick(now: Timestamp(seconds: 400))
        #expect(found.isEmpty && later.isEmpty && tracker.liveFlows == 1)
    }

    /// A flow that began, and that a dump does not have.
    private mutating func miss() {
        _ = tracker.judged(first())
        let records = tracker.reconcile([], for: .continuation, at: Timestamp(seconds: 300))
        #expect(records.isEmpty)
    }

    @Test("of many that are missed some end at a tick, and the next may follow at once (F1)")
    mutating func endsInPieces() throws {
        var limits = FlowTracker.Limits()
        limits.endsAtOnce = 2
        tracker = FlowTracker(attributor: Attributor(policy: policy), limits: limits)
        for port in UInt16(1)...5 {
            let other = try TwoMachines.flow(port: 80, from: port)
            let connection = Connection(id: 7, flow: other, label: label, totals: nil, isClosed: false)
            _ = tracker.judged(packet(.allowed, other, of: connection))
        }
        _ = tracker.reconcile([], for: .comparison, at: Timestamp(seconds: 300))
        let later = Timestamp(seconds: 365)
        #expect(!tracker.owesEnds(at: Timestamp(seconds: 364)) && tracker.owesEnds(at: later))
        var counts: [Int] = []
        while tracker.owesEnds(at: later), counts.count < 9 { counts.append(tracker.tick(now: later).count) }
        #expect(counts == [4, 4, 2] && tracker.liveFlows == 0)
    }

    @Test("an id that came again is another flow (F1)")
    mutating func resynchronises() throws {
        _ = tracker.judged(first())
        let other = try TwoMachines.flow(port: 80, from: 40_001)
        let reused = Connection(id: 7, flow: other, label: label, totals: nil, isClosed: false)
        var records = tracker.judged(packet(.allowed, other, of: reused))
        #expect(summary(records) == began && tracker.liveFlows == 2)
        records = tracker.reconcile([reused], for: .comparison, at: Timestamp(seconds: 120))
        records += tracker.tick(now: Timestamp(seconds: 185))
        #expect(records.map(\.change.letter) == ["E", "E"])
        #expect(records.allSatisfy { $0.flow == flow } && tracker.liveFlows == 1)
    }

    @Test("numbers in use are those that live flows carry")
    mutating func tellsNumbers() throws {
        _ = tracker.judged(first())
        #expect(tracker.numbersInUse == Set(FlowLabel.numbers(of: label)))
    }

    @Test("after an orderly end a flow's records go on where the earlier run's left off")
    mutating func continuesCounting() {
        let before = FlowCounters(packetsSent: 1000, bytesSent: 9, packetsReceived: 0, bytesReceived: 0)
        let found = Connection(id: 7, flow: flow, label: label, totals: before, isClosed: false)
        _ = tracker.reconcile([found], for: .start(.all), at: Timestamp(seconds: 90))
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
        let records = tracker.judged(first())
        #expect(records.map(\.change.letter) == ["B", "B"] && tracker.liveFlows == 0)
    }

    @Test("after a flow has idled out its next packet begins another, with a B and an E of its own (S6)")
    mutating func beginsAnew() {
        var letters: [String] = []
        for id: UInt32 in [7, 8] {
            let flow = Connection(id: id, flow: flow, label: label, totals: .zero, isClosed: false)
            letters += tracker.judged(packet(.allowed, flow.flow, of: flow, second: 100 * UInt64(id))).map(
                \.change.letter)
            letters += tracker.ended(flow, at: Timestamp(seconds: 100 * UInt64(id) + 50)).map(\.change.letter)
        }
        #expect(letters == ["B", "B", "E", "E", "B", "B", "E", "E"])
    }

    @Test("a packet that rules take for AH is of the connection that conntrack sees inside it")
    mutating func looksInside() throws {
        let outer = FlowTuple(protocol: .ah, source: flow.source, destination: flow.destination)
        var records = tracker.judged(packet(.allowed, outer, of: connection(label: label)))
        records += tracker.ended(connection(.zero), at: Timestamp(seconds: 110))
        #expect(records.map(\.change.letter) == ["B", "B", "E", "E"])
        #expect(records.allSatisfy { $0.flow == outer && $0.flowID == 7 })
    }
}

extension FlowTracker {
    mutating func judged(_ packet: JudgedPacket) -> [FlowRecord] {
        var records: [FlowRecord] = []
        var tally = DecisionTally()
        _ = judged(packet, into: &records, counting: &tally)
        return records
    }

    mutating func ended(_ connection: Connection, at time: Timestamp) -> [FlowRecord] {
        var records: [FlowRecord] = []
        ended(connection, at: time, into: &records)
        return records
    }
}
