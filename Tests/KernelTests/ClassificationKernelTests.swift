import Glibc
import NSGModel
import NetworkTypes
import Nftables
import TestSupport
import Testing

@testable import NftablesKernel

/// Addresses to classes, points and ranges to outcomes, outcomes to verdicts: in the kernel as in the interpreter (T2).
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own"))
struct ClassificationKernelTests {
    private static let table = "classes"
    private static let (classes4, classes6) = (SetName("classes.v4"), SetName("classes.v6"))
    private static let (points, ranges) = (SetName("points"), SetName("ranges"))
    private static let outcomes = SetName("outcomes")
    private static let missed = CounterName("missed")

    private static func counter(of outcome: UInt32) -> CounterName { CounterName("outcome-\(outcome)") }

    private static func element(_ range: ClosedRange<UInt128>, _ number: UInt32) -> SetElement {
        SetElement(.values(range), number: number)
    }

    /// How a rule asks for an address: by its own protocol or by a number in its place, with its port or without.
    struct Question: Sendable, CustomTestStringConvertible {
        var hasPoints: Bool
        var protocolNumber: UInt8?
        var readsPort: Bool
        var testDescription: String {
            "\(hasPoints ? "points and ranges" : "ranges"), protocol \(protocolNumber.map { "\($0)" } ?? "read"), "
                + "port \(readsPort ? "read" : "left out")"
        }
    }

    static let questions = [true, false].flatMap { hasPoints in
        [(nil, true), (nil, false), (132, true), (132, false)].map {
            Question(hasPoints: hasPoints, protocolNumber: $0.0, readsPort: $0.1)
        }
    }

    /// Of class, protocol and port.
    private static let cells: [(class: UInt32, protocol: UInt8, port: UInt16?, outcome: UInt32)] = [
        (1, 6, 443, 2), (1, 17, 53, 1), (1, 17, nil, 4), (1, 132, 53, 3), (1, 132, nil, 5),
        (0x0102_0304, 17, 53, 0xdead_beef), (0x0102_0304, 17, 99, 77),
    ]

    private static func key(_ cell: (class: UInt32, protocol: UInt8, port: UInt16?, outcome: UInt32)) -> UInt128 {
        Classification.key(class: cell.class, protocol: cell.protocol, port: cell.port)
    }

    /// What the cells, and the three ports behind them, are looked up in: as ranges; or as points around which, and
    /// under which, ranges have another outcome.
    private static func maps(hasPoints: Bool) -> [NamedSet] {
        var elements = cells.map { cell in
            let key = key(cell)
            return element(key...(key + (cell.port != nil ? 4 << 16 - 1 : 0)), hasPoints ? 6 : cell.outcome)
        }
        let numbers = cells.map(\.outcome).filter { $0 != 77 }
        if hasPoints { elements += numbers.map { element(Classification.keys(ofPoint: $0), $0) } }
        let ranges = NamedSet(
            ranges, keyType: Classification.rangeType, isInterval: true, values: .numbers,
            elements: elements.sorted { $0.key < $1.key })
        guard hasPoints else { return [ranges] }
        let single = cells.map { element(key($0)...key($0), $0.outcome) }.sorted { $0.key < $1.key }
        return [
            ranges,
            NamedSet(
                points, keyType: Classification.pointType, isInterval: false, values: .numbers,
                elements: single + [SetElement(.catchAll, number: Classification.noPoint)]),
        ]
    }

    private static func ruleset(_ question: Question) -> Ruleset {
        let ask = { (field: Field, classes: SetName) in
            Step.classify(
                Classification(
                    address: field, classes: classes, protocolNumber: question.protocolNumber,
                    readsPort: question.readsPort, points: question.hasPoints ? points : nil, ranges: ranges,
                    outcomes: outcomes))
        }
        let leaves: [UInt32] = [1, 2, 3, 4, 5, 6, 0xdead_beef]
        return Ruleset(
            table: table,
            chains: [
                Chain(
                    ChainName("out"), at: Attachpoint(hook: .output, priority: 20),
                    rules: [
                        Rule(.match(.family, .equals(2)), ask(.ipSource, classes4)),
                        Rule(.match(.family, .equals(10)), ask(.ip6Source, classes6)), Rule(.counter(missed)),
                    ])
            ]
                + leaves.map {
                    Chain(ChainName("leaf-\($0)"), rules: [Rule(.counter(counter(of: $0)), .verdict(.drop))])
                },
            sets: [
                NamedSet(
                    classes4, keyType: .ipv4Address, isInterval: true, values: .numbers,
                    elements: [
                        element(0x0a00_0000...0x0a00_00ff, 1), element(0x0a00_0100...0x0a00_01ff, 0x0102_0304),
                        element(0x0a00_0200...0x0a00_0200, 9), element(0xffff_ff00...0xffff_ffff, .max),
                    ]),
                NamedSet(
                    classes6, keyType: .ipv6Address, isInterval: true, values: .numbers,
                    elements: [element(0xfd << 120...(0xfd << 120 | 0xffff), 1)]),
                NamedSet(
                    outcomes, keyType: Classification.outcomeType, isInterval: false, values: .verdicts,
                    elements: leaves.map {
                        SetElement(.values(UInt128($0)...UInt128($0)), verdict: .goto(ChainName("leaf-\($0)")))
                    }),
            ] + maps(hasPoints: question.hasPoints),
            counters: Set(leaves.map { counter(of: $0) } + [missed]))
    }

    /// A packet and its outcomes as (protocol read, port read), (read, left out), (132, read), (132, left out), or nil.
    private struct Sample {
        var flow: FlowTuple
        var outcomes: [UInt32?]
        /// Where there are points, if these are others.
        var outcomesBesidePoints: [UInt32?]?
        /// Instead of a whole packet's, what follows the network header.
        var payload: [UInt8]?
    }

    private static func samples() throws -> [Sample] {
        func flow(_ number: IPProtocol, _ source: String, _ port: UInt16? = nil) throws -> FlowTuple {
            let address = try RawPackets.address(source)
            let target = try RawPackets.address(address.family == .ipv4 ? "127.0.0.1" : "::1")
            return FlowTuple(
                protocol: number, source: address, destination: target, sourcePort: number.hasPorts ? 4000 : nil,
                destinationPort: port, icmpType: number == .icmp ? 8 : nil)
        }
        return [
            Sample(flow: try flow(.udp, "10.0.0.7", 53), outcomes: [1, 4, 3, 5]),
            Sample(flow: try flow(.tcp, "10.0.0.7", 443), outcomes: [2, nil, nil, 5]),
            Sample(flow: try flow(.udp, "fd00::7", 53), outcomes: [1, 4, 3, 5]),
            Sample(flow: try flow(.tcp, "fd00::1:7", 443), outcomes: [nil, nil, nil, nil]),
            Sample(flow: try flow(.udp, "10.0.1.255", 53), outcomes: [0xdead_beef, nil, nil, nil]),
            Sample(
                flow: try flow(.udp, "10.0.0.7", 56), outcomes: [1, 4, 3, 5], outcomesBesidePoints: [6, 4, 6, 5]),
            // No outcome of that number, or point that ranges know; no cell, no class.
            Sample(flow: try flow(.udp, "10.0.1.0", 99), outcomes: [nil, nil, nil, nil]),
            Sample(flow: try flow(.udp, "10.0.0.7", 60), outcomes: [nil, 4, nil, 5]),
            Sample(flow: try flow(.udp, "10.0.2.0", 53), outcomes: [nil, nil, nil, nil]),
            Sample(flow: try flow(.udp, "10.0.2.1", 53), outcomes: [nil, nil, nil, nil]),
            Sample(flow: try flow(.udp, "9.255.255.255", 53), outcomes: [nil, nil, nil, nil]),
            // No port: none in what there is of the header.
            Sample(flow: try flow(.sctp, "10.0.0.7"), outcomes: [nil, 5, nil, 5], payload: [0x10, 0]),
            Sample(flow: try flow(.udp, "10.0.0.7"), outcomes: [nil, 4, nil, 5], payload: [0x10, 0, 0]),
            // A message that has 53 where a port would be, and one that has not.
            Sample(flow: try flow(.icmp, "10.0.0.7"), outcomes: [nil, nil, 3, 5], payload: [8, 0, 0, 53, 0, 0, 0, 0]),
            Sample(
                flow: try flow(.icmp, "10.0.0.7"), outcomes: [nil, nil, nil, 5], payload: [8, 0, 9, 9, 0, 0, 0, 0]),
        ]
    }

    @Test("a packet meets its cell's outcome; one that a map does not hold goes on", arguments: questions)
    func judgesPackets(question: Question) throws {
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: Self.table, expecting: nil) }
        let ruleset = Self.ruleset(question)
        _ = try store.commit(NftablesKernelTests.building(ruleset), table: Self.table, expecting: nil)
        let dumped = try store.dump(table: Self.table).ruleset
        #expect(dumped == ruleset, "\(NftablesKernelTests.difference(dumped, ruleset))")
        let interpreter = RulesetInterpreter(ruleset)
        let column = (question.protocolNumber == nil ? 0 : 2) + (question.readsPort ? 0 : 1)
        var before = try store.counters(table: Self.table)
        for (number, sample) in try Self.samples().enumerated() {
            Self.send(sample, number: UInt16(4 + number * 3))
            let after = try store.counters(table: Self.table)
            let moved = after.filter { $0.value.packets != before[$0.key]?.packets }.keys.sorted()
            before = after
            let outcomes = question.hasPoints ? sample.outcomesBesidePoints ?? sample.outcomes : sample.outcomes
            let expected = outcomes[column].map { Self.counter(of: $0) } ?? Self.missed
            #expect(moved == [expected], "\(sample.flow) \(sample.payload ?? [])")
            // An ICMP message has no port in the interpreter.
            guard sample.flow.protocol != .icmp || !question.readsPort else { continue }
            let outcome = interpreter.outcome(of: TestPacket(.output, to: "lo", sample.flow))
            #expect(outcome.counters == [expected: 1] && outcome.faults == [], "\(sample.flow)")
            if expected != Self.missed { #expect(outcome.lookups == (question.hasPoints ? 4 : 3)) }
        }
    }

    private static func send(_ sample: Sample, number: UInt16) {
        let flow = sample.flow
        let payload = sample.payload ?? PacketFrame.transport(flow, number)
        let packet = PacketFrame.packet(
            flow.source, flow.destination, flow.protocol.rawValue, payload, identification: number)
        let isIPv6 = flow.source.family == .ipv6
        let descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_RAW.rawValue), Int32(IPPROTO_RAW))
        defer { close(descriptor) }
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_addr = in6addr_loopback
            send(packet, through: descriptor, to: &address)
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            send(packet, through: descriptor, to: &address)
        }
    }

    private static func send<Address>(_ packet: [UInt8], through descriptor: Int32, to address: inout Address) {
        let sent = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe sendto(descriptor, packet, packet.count, 0, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        // A packet that is dropped is refused.
        #expect(sent == packet.count || errno == EPERM, "sendto: \(errno)")
    }

    @Test(
        "a paired map of numbers is brought from any content to any other, and rules with it", arguments: [true, false])
    func editsCells(isInterval: Bool) throws {
        var random = SplitMix64(seed: 33)
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: "twins", expecting: nil) }
        let name = isInterval ? Self.ranges : Self.points
        let base = Self.ruleset(Question(hasPoints: !isInterval, protocolNumber: nil, readsPort: true))
        for round in rounds(40, whereSlow: 11) {
            var wanted = Ruleset(
                table: "twins",
                chains: base.chains.values.map { chain in
                    chain.attachpoint == nil ? chain : Chain(ChainName("list.0"), rules: chain.rules)
                } + [
                    Chain(
                        ChainName("out"), at: Attachpoint(hook: .output, priority: 20),
                        rules: [Rule(.verdict(.jump(ChainName("to/list"))))]),
                    Chain(ChainName("to/list"), rules: [Rule(.verdict(.goto(ChainName("list.0"))))]),
                ], sets: Array(base.sets.values), counters: base.counters)
            let keys = Set((0..<(round % 10 == 9 ? 0 : 300)).map { _ in UInt128.random(in: 0...400, using: &random) })
            var elements = keys.sorted().map { key in
                Self.element(
                    key << 60...(key << 60 + (isInterval ? 1 << 60 - UInt128(key % 2 + 1) : 0)),
                    UInt32.random(in: 0...2, using: &random))
            }
            // The last comes and goes, and leads elsewhere.
            if round % 4 != 3 {
                let last = isInterval ? SetKey.values(Classification.keys(ofPoint: .max)) : .catchAll
                elements.append(SetElement(last, number: UInt32.random(in: 0...2, using: &random)))
            }
            wanted.sets[name] = NamedSet(
                name, keyType: isInterval ? Classification.rangeType : Classification.pointType, isInterval: isInterval,
                values: .numbers, isPaired: true, elements: elements)
            let (inForce, generation) = try store.dump(table: "twins")
            let change = Change(from: inForce, to: wanted)
            var current = generation
            for part in [change.skeleton, change.build, change.swap, change.sweep] where !part.isEmpty {
                current = try store.commit(part, table: "twins", expecting: current)
            }
            let edits = change.build.contains {
                if case .deleteElements(let gone, _) = $0 { gone.count < keys.count } else { false }
            }
            #expect(edits || round < 2 || round % 10 == 9 || round % 10 == 0, "round \(round): made anew")
            let dumped = try #require(try store.dump(table: "twins").ruleset)
            let isSame = dumped == change.result
            #expect(isSame, "round \(round): \(NftablesKernelTests.difference(dumped, change.result))")
            let looksInto = dumped.chains[ChainName("list.0")]?.rules[0].steps.last?.sets[1]
            #expect(looksInto == (round % 2 == 0 ? name : SetName("\(name).b")))
            for name in [name, SetName("\(name).b")] { #expect(dumped.sets[name]?.elements == elements) }
        }
    }

    /// nft 1.0.6 knows no name of the type, and of the addresses' classes and the outcomes nothing.
    @Test("nft lists a table with maps of numbers", arguments: questions)
    func nftLists(question: Question) throws {
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: Self.table, expecting: nil) }
        _ = try store.commit(
            NftablesKernelTests.building(Self.ruleset(question)), table: Self.table, expecting: nil)
        let text = try run(["sh", "-c", "nft list ruleset 2>&1"])
        #expect(!text.contains("Error"), "\(text)")
        let lines = text.split(separator: "\n").map { $0.drop { $0 == "\t" } }
        for line in ["ip saddr vmap @outcomes", "ip6 saddr vmap @outcomes", "counter name \"missed\""] {
            #expect(lines.contains { $0 == line }, "\(line)")
        }
        #expect(lines.contains { $0.contains("fd00::/112 : 1 }") })
        #expect(lines.contains { $0.contains("3735928559 : goto leaf-3735928559") })
    }
}
