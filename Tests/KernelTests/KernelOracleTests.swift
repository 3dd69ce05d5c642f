import ConntrackKernel
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import NftablesKernel
import PacketLog
import TestSupport
import Testing

/// Random policies in the kernel, with real packets, against the evaluator: S1–S4, S8–S14, E4, F2, KERNEL 4, 8, 9,
/// 13.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct KernelOracleTests {
    /// Those whose estates have interfaces enough.
    static let seeds = Array(
        (UInt64(0)...).lazy.filter { Estate.random(seed: $0).networkInterfaces.count >= 4 }.prefix(32))

    @Test(
        "verdict, record, label and counters of each packet are the evaluator's",
        arguments: slowness > 1 ? Array(seeds.prefix(6)) : seeds)
    func agreement(seed: UInt64) throws {
        let run = try OracleRun(seed: seed)
        try run.firstPackets()
        try run.samePacketsAgain()
        try run.replies()
        try run.checkCounters()
    }

    @Test("the packets of these runs are thousands, and meet what they are to meet")
    func coverage() {
        var seen: [String: Int] = [:]
        for seed in Self.seeds {
            let policy = OracleRun.policy(seed)
            let packets = OracleRun.plan(of: policy, seed).packets
            seen["packet", default: 0] += packets.count
            for fate in packets.flatMap(policy.fates) { seen[fate, default: 0] += 1 }
        }
        #expect(seen["packet", default: 0] >= 5000)
        let wanted = [
            "foreign outbound", "foreign inbound", "platform", "mail", "time-out", "admin Allow", "admin AlwaysAllow",
            "admin Deny", "admin none", "subnet Deny custom", "nic Deny custom", "IPv6 Deny custom", "both ends",
        ]
        for fate in wanted { #expect(seen[fate, default: 0] >= 20, "\(fate): \(seen[fate, default: 0])") }
    }
}

/// One policy in the kernel, and what it made of packets so far.
private final class OracleRun {
    private static let group: UInt16 = 85
    private let seed: UInt64
    private let policy: CompiledPolicy
    private let plan: TrafficPlan
    /// Of ICMP the identifier, which belongs to a connection.
    private let numbers: [FlowTuple: UInt16]
    private let lab: RouterLab
    private let store: KernelRulesetStore
    private let records = Gathered<LoggedPacket>()
    private let reader: PacketLogReader
    private var counters: [CounterName: Int] = [:]
    private var recordsSeen = 0
    private var deliveredSeen = 0
    private var disagreements = 0

    init(seed: UInt64) throws {
        self.seed = seed
        policy = Self.policy(seed)
        plan = Self.plan(of: policy, seed)
        numbers = Dictionary(zip(plan.packets.map(\.flow), 1...)) { first, _ in first }
        lab = try RouterLab(devices: policy.devices)
        try lab.setRoutes(plan.routes)
        reader = try RouterLab.read(group: Self.group, into: records)
        store = try KernelRulesetStore()
        var enforcement = Enforcement(store: store)
        _ = try enforcement.apply(policy.ruleset)
    }

    deinit {
        var enforcement = Enforcement(store: store)
        try? enforcement.removeTable(policy.ruleset.table)
    }

    static func policy(_ seed: UInt64) -> CompiledPolicy {
        CompiledPolicy(estate(seed), group: group, division: .way(seed))
    }

    static func plan(of policy: CompiledPolicy, _ seed: UInt64) -> TrafficPlan {
        var random = SplitMix64(seed: seed ^ 0x0_5ac1e)
        return TrafficPlan(policy, unbound: "other0", count: 400, using: &random)
    }

    /// Up to four guests and a host interface, no two with one address.
    private static func estate(_ seed: UInt64) -> Estate {
        var estate = Estate.random(seed: seed)
        var used: Set<IPAddress> = []
        let interfaces = estate.networkInterfaces.values.sorted { $0.id < $1.id }
            .filter { interface in interface.addresses.allSatisfy { used.insert($0).inserted } }.map(\.id).prefix(5)
        estate.bindings = interfaces.enumerated().map { index, id in
            Binding(
                networkInterface: id, device: "dev\(index)",
                attachment: index == interfaces.count - 1 ? .host : .guest)
        }
        return estate
    }

    // MARK: Rounds

    func firstPackets() throws {
        let expected = plan.packets.map { (packet: $0, outcome: self.expected(for: $0)) }
        try send(expected, what: "first packet")
        try checkLabels(expected)
    }

    /// S4: nobody has answered, and yet what was allowed is not judged again, what was refused is.
    func samePacketsAgain() throws {
        let again = plan.packets.filter { $0.path != .input && $0.state == .new }.map { first in
            let outcome = policy.expected(for: first)
            var packet = first
            packet.label = outcome.label
            let isDecided = outcome.verdict == .accept && outcome.label.map(FlowLabel.isDecided) ?? false
            if !isDecided { return (packet: first, outcome: outcome) }
            let passesRouter =
                packet.path == .forward && (policy.isRouter(packet.inputDevice) || policy.isRouter(packet.outputDevice))
            let isAsked = passesRouter && !(packet.label.map(FlowLabel.isSettled) ?? true)
            return (
                packet: packet,
                outcome: isAsked ? policy.expected(for: packet, isAgain: true) : PacketOutcome(label: packet.label)
            )
        }
        try send(again, what: "the same packet again")
    }

    /// Answers to UDP pass both ways without a word, also where the rules would refuse them.
    func replies() throws {
        let answered = plan.packets.filter {
            $0.path == .forward && $0.flow.protocol == .udp && policy.expected(for: $0).verdict == .accept
        }
        let replies = answered.compactMap { first -> (packet: TestPacket, outcome: PacketOutcome)? in
            guard case .device(let device)? = plan.routes[first.flow.source] else { return nil }
            let reply = TestPacket(
                .forward, from: first.outputDevice, to: device, first.flow.reversed, state: .established)
            return (reply, PacketOutcome(label: nil))
        }
        try send(replies, what: "reply")
    }

    func checkCounters() throws {
        let kernel = try store.counters(table: policy.ruleset.table).mapValues { Int($0.packets) }.filter {
            $0.value > 0
        }
        for name in Set(kernel.keys).union(counters.keys).sorted() where kernel[name] != counters[name] {
            Issue.record("seed \(seed): \(name) counts \(kernel[name] ?? 0), should \(counters[name] ?? 0)")
        }
        #expect(disagreements == 0, "seed \(seed): of \(plan.packets.count) packets")
    }

    // MARK: The two answers

    /// Invalid packets are dropped at the first bound interface, without a record (KERNEL 9), unless they are forged.
    private func expected(for packet: TestPacket) -> PacketOutcome {
        guard packet.state == .invalid, policy.forgery(packet) == nil else { return policy.expected(for: packet) }
        let devices = [
            packet.path == .output ? nil : packet.inputDevice, packet.path == .input ? nil : packet.outputDevice,
        ]
        guard let first = devices.lazy.compactMap({ self.policy.binding(of: $0) }).first else {
            return PacketOutcome(label: nil)
        }
        var outcome = PacketOutcome(label: nil)
        outcome.verdict = .drop
        outcome.counters[CounterName("nic/\(first.networkInterface.name)/invalid")] = 1
        return outcome
    }

    /// What the kernel did with a batch: where each packet arrived, and the records of it.
    private struct Seen {
        var arrivals: [FlowTuple: [String]] = [:]
        var logs: [FlowTuple: [String]] = [:]
    }

    private func send(_ batch: [(packet: TestPacket, outcome: PacketOutcome)], what: String) throws {
        for item in batch {
            let bytes = PacketFrame.bytes(of: item.packet.flow, number: numbers[item.packet.flow] ?? 0)
            lab.send(bytes, through: item.packet.path == .output ? nil : item.packet.inputDevice)
        }
        for (name, count) in batch.flatMap(\.outcome.counters) { counters[name, default: 0] += count }
        var seen = Seen()
        _ = eventually {
            collect(&seen)
            return batch.allSatisfy { item in
                (item.outcome.verdict == .drop || seen.arrivals[item.packet.flow] != nil)
                    && (seen.logs[item.packet.flow]?.count ?? 0) >= item.outcome.logs.count
            }
        }
        // Whatever should not have come has been on its way no longer.
        collect(&seen)
        for item in batch { compare(item.packet, item.outcome, seen, what) }
    }

    private func collect(_ seen: inout Seen) {
        for (device, tap) in lab.taps {
            for packet in tap.receive() {
                guard let header = PacketHeader(packet[...]) else { continue }
                seen.arrivals[FlowTuple(header), default: []].append(device)
            }
        }
        let delivered = lab.deliveredHeaders
        for header in delivered.dropFirst(deliveredSeen) {
            seen.arrivals[FlowTuple(header), default: []].append("this machine")
        }
        deliveredSeen = delivered.count
        let logged = records.all
        for record in logged.dropFirst(recordsSeen) {
            if let header = record.header { seen.logs[FlowTuple(header), default: []].append(record.prefix) }
        }
        recordsSeen = logged.count
    }

    private func compare(_ packet: TestPacket, _ outcome: PacketOutcome, _ seen: Seen, _ what: String) {
        let wanted =
            outcome.verdict == .drop ? [] : [packet.path == .input ? "this machine" : packet.outputDevice ?? ""]
        let arrivals = seen.arrivals[packet.flow] ?? []
        let logs = seen.logs[packet.flow] ?? []
        guard arrivals != wanted || logs != outcome.logs else { return }
        disagreements += 1
        guard disagreements <= 5 else { return }
        Issue.record(
            """
            seed \(seed), \(what): \(packet.way) \(packet.flow)
              arrived at \(arrivals), should at \(wanted)
              records \(logs), should be \(outcome.logs)
            """)
    }

    /// An allowed flow carries the numbers of the rules that allowed it; a refused one has left no connection.
    private func checkLabels(_ batch: [(packet: TestPacket, outcome: PacketOutcome)]) throws {
        var table = try ConntrackTable()
        let entries = Dictionary(try table.dump().map { (FlowTuple($0), $0.label?.bits ?? 0) }) { first, _ in first }
        for (packet, outcome) in batch where packet.state == .new {
            let label = entries[packet.flow.asTracked]
            let wanted = outcome.verdict == .accept ? outcome.label : nil
            guard label != wanted else { continue }
            disagreements += 1
            guard disagreements <= 5 else { return }
            let names = { (label: UInt128?) in
                label.map { FlowLabel.numbers(of: $0).map { self.policy.numbering.rules[$0]?.name ?? "?" } }
            }
            Issue.record(
                """
                seed \(seed): \(packet.way) \(packet.flow)
                  label \(label.map(hexadecimal) ?? "none") \(names(label) ?? []), \
                should be \(wanted.map(hexadecimal) ?? "none") \(names(wanted) ?? [])
                """)
        }
    }

    private func hexadecimal(_ label: UInt128) -> String { String(label, radix: 16) }
}

extension TestPacket {
    fileprivate var way: String { "\(path) \(inputDevice ?? "-") > \(outputDevice ?? "-")" }
}

extension FlowTuple {
    fileprivate init(_ header: PacketHeader) {
        self.init(
            protocol: header.protocol, source: header.source, destination: header.destination,
            sourcePort: header.sourcePort, destinationPort: header.destinationPort, icmpType: header.icmpType)
    }

    fileprivate init(_ entry: ConntrackEntry) {
        self.init(
            protocol: entry.protocol, source: entry.original.source, destination: entry.original.destination,
            sourcePort: entry.original.sourcePort, destinationPort: entry.original.destinationPort,
            icmpType: entry.original.icmp?.type)
        self = asTracked
    }

    /// Without the ports of protocols that conntrack may not read; no two packets of a plan differ in these alone.
    fileprivate var asTracked: FlowTuple {
        var flow = self
        if ![.tcp, .udp].contains(self.protocol) { (flow.sourcePort, flow.destinationPort) = (nil, nil) }
        return flow
    }
}
