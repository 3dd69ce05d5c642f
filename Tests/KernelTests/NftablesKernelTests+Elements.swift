import CShims
import Dispatch
import Netlink
import NetworkTypes
import Nftables
import Synchronization
import TestSupport
import Testing

@testable import NftablesKernel

/// Elements that come and go in sets that are there, and time-outs of connections.
extension NftablesKernelTests {
    private static func interval(_ name: String, _ type: KeyType, _ elements: [SetElement] = []) -> NamedSet {
        NamedSet(SetName(name), keyType: type, isInterval: true, elements: elements)
    }

    /// Disjoint ranges that do not touch, some of them at the ends of the type.
    private static func ranges(of type: KeyType, using random: inout SplitMix64) -> [SetElement] {
        let largest = type.largest
        let near: [UInt128] = [0, largest / 2, largest - min(largest, 40)]
        var bounds: Set<UInt128> = [0, largest]
        for start in near {
            for _ in 0..<12 { bounds.insert(start + min(UInt128.random(in: 0...40, using: &random), largest - start)) }
        }
        var next: UInt128 = 0
        var elements: [SetElement] = []
        for bound in bounds.sorted() where bound >= next {
            let first = UInt128.random(in: next...bound, using: &random)
            guard Int.random(in: 0..<3, using: &random) > 0 else { continue }
            elements.append(SetElement(.values(first...bound)))
            if bound >= largest - 1 { break }
            next = bound + 2
        }
        return elements
    }

    @Test(
        "a paired set is brought from any content to any other, at the ends of its type too, and read back so",
        arguments: [.ipv4Address, .ipv6Address, .inetService, .inetProtocol] as [KeyType])
    func editsElements(type: KeyType) throws {
        var random = SplitMix64(seed: UInt64(type.width))
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: "elements", expecting: nil) }
        func wanted(_ elements: [SetElement]) -> Ruleset {
            var set = Self.interval("tag/T", type, elements)
            set.isPaired = true
            return Ruleset(table: "elements", sets: [set])
        }
        for round in rounds(100, whereSlow: 21) {
            let elements = round % 20 == 19 ? [] : Self.ranges(of: type, using: &random)
            let (inForce, generation) = try store.dump(table: "elements")
            let change = Change(from: inForce, to: wanted(elements))
            let operations = change.skeleton + change.build + change.swap + change.sweep
            _ = try store.commitInParts(operations, table: "elements", expecting: generation)
            let dumped = try #require(try store.dump(table: "elements").ruleset)
            #expect(dumped.sets.count == 2)
            for set in dumped.sets.values { #expect(set.elements == elements, "round \(round)") }
            let isInForce = Change(from: dumped, to: wanted(elements)).isEmpty
            #expect(isInForce, "round \(round)")
        }
    }

    @Test("so is a paired map, whose keys stay where verdicts change; what leads to new chains comes with them")
    func editsMaps() throws {
        var random = SplitMix64(seed: 21)
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: "maps", expecting: nil) }
        for round in rounds(60, whereSlow: 20) {
            let leaves = (0..<3).map { ChainName("leaf.\(round % 7).\($0)") }
            let elements = Self.ranges(of: .ipv4Address, using: &random).filter {
                if case .values(let range) = $0.key { !range.overlaps(0x4000_0000...0x4000_001f) } else { false }
            }.map { SetElement($0.key, verdict: .goto(random.pick(leaves))) }
            // Neighbours that touch, too.
            let adjacent = (0..<UInt128(8)).map { number in
                SetElement(
                    .values(0x4000_0000 + number * 4...0x4000_0003 + number * 4), verdict: .goto(random.pick(leaves)))
            }
            let all = (elements + adjacent).sorted { $0.key < $1.key }
            let map = NamedSet(
                SetName("sources"), keyType: .ipv4Address, isInterval: true, values: .verdicts, isPaired: true,
                elements: all)
            let root = Chain(
                ChainName("root"), rules: [Rule(.match(.family, .equals(2)), .dispatch(.ipSource, through: map.name))])
            let wanted = Ruleset(
                table: "maps",
                chains: leaves.map { Chain($0, rules: [Rule(.verdict(.accept))]) } + [
                    root,
                    Chain(
                        ChainName("out"), at: Attachpoint(hook: .output, priority: 20),
                        rules: [Rule(.verdict(.jump(ChainName("to/root"))))]),
                    Chain(ChainName("to/root"), rules: [Rule(.verdict(.goto(root.name)))]),
                ], sets: [map])
            let (inForce, generation) = try store.dump(table: "maps")
            let change = Change(from: inForce, to: wanted)
            var current = generation
            // One transaction each, so that a key goes and comes in the same.
            for part in [change.skeleton, change.build, change.swap, change.sweep] where !part.isEmpty {
                current = try store.commit(part, table: "maps", expecting: current)
            }
            let dumped = try #require(try store.dump(table: "maps").ruleset)
            let isSame = dumped == change.result
            #expect(isSame, "round \(round): \(Self.difference(dumped, change.result))")
            #expect(try store.rules(of: root.name, table: "maps") == change.result.chains[root.name]?.rules)
            let twin = try #require(change.result.sets.values.first { $0.name != map.name })
            #expect(try store.elements(of: twin, table: "maps") == all)
        }
    }

    @Test("so is a paired set of devices and addresses, as guests are held to them (S13)")
    func editsConcatenations() throws {
        var random = SplitMix64(seed: 13)
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: "guests", expecting: nil) }
        let names = ["tap1", "tap10", "tap2", "veth-web", "a23456789012345"]
        for round in rounds(40, whereSlow: 11) {
            let elements = (0..<(round % 10 == 9 ? 0 : 300)).map { _ in
                let address = UInt128.random(in: 0...400, using: &random)
                return SetKey.concatenation([.device(random.pick(names)), .values(address...address)])
            }
            let set = NamedSet(
                SetName("guests/addresses.v4"), keyType: .concatenation([.deviceName, .ipv4Address]), isInterval: false,
                isPaired: true, elements: Set(elements).sorted().map { SetElement($0) })
            let wanted = Ruleset(table: "guests", sets: [set])
            let (inForce, generation) = try store.dump(table: "guests")
            let change = Change(from: inForce, to: wanted)
            let operations = change.skeleton + change.build + change.swap + change.sweep
            _ = try store.commitInParts(operations, table: "guests", expecting: generation)
            let dumped = try #require(try store.dump(table: "guests").ruleset)
            #expect(dumped.sets.count == 2)
            for present in dumped.sets.values { #expect(present.elements == set.elements, "round \(round)") }
            #expect(Change(from: dumped, to: wanted).isEmpty)
        }
    }

    @Test("elements are deleted by the thousand, by key, in sets of any kind; one that is not there is refused")
    func deletesElements() throws {
        let store = try KernelRulesetStore(sendBufferLimit: 106496)
        defer { _ = try? store.commit([.deleteTable], table: "deletes", expecting: nil) }
        let pairs = (0..<UInt128(20000)).map { number in
            SetElement(.concatenation([.device("eth\(number % 7)"), .values(number...number)]))
        }.sorted { $0.key < $1.key }
        let sets = [
            Self.interval(
                "ranges", .ipv6Address, (0..<UInt128(20000)).map { SampleRulesets.values($0 * 8...$0 * 8 + 3) }),
            NamedSet(
                SetName("pairs"), keyType: .concatenation([.deviceName, .ipv4Address]), isInterval: false,
                elements: pairs),
        ]
        var ruleset = Ruleset(table: "deletes", sets: sets)
        _ = try store.commitInParts(Self.building(ruleset), table: "deletes", expecting: nil)
        for set in sets {
            let gone = set.elements.enumerated().filter { $0.offset % 3 != 1 }.map(\.element)
            _ = try store.commitInParts([.deleteElements(gone, from: set)], table: "deletes", expecting: nil)
            ruleset.sets[set.name]?.elements = set.elements.enumerated().filter { $0.offset % 3 == 1 }.map(\.element)
            let error = #expect(throws: KernelError.self) {
                _ = try store.commit([.deleteElements([gone[0]], from: set)], table: "deletes", expecting: nil)
            }
            #expect(error?.errno == 2)
        }
        let dumped = try store.dump(table: "deletes").ruleset
        #expect(dumped == ruleset)
    }

    @Test("elements that expire are nft's to list, and no part of what is read back or compared")
    func expiringElements() throws {
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: "expire", expecting: nil) }
        let types: [KeyType] = [.ipv4Address, .ipv4Address, .inetProtocol, .inetService, .inetService]
        let set = NamedSet(
            SetName("cut/v4"), keyType: .concatenation(types), isInterval: false, expires: true, elements: [])
        let wanted = Ruleset(table: "expire", sets: [set])
        _ = try store.commit(Self.building(wanted), table: "expire", expecting: nil)
        let numbers: [UInt128] = [0x0a00_0001, 0x0a00_0002, 6, 50000, 443]
        let element = SetElement(.concatenation(numbers.map { .values($0...$0) }), timeout: 3_600_000)
        // The second time there is nothing to do, and nothing wrong.
        for _ in 0..<2 { _ = try store.commit([.addElements([element], to: set)], table: "expire", expecting: nil) }
        let text = try run(["nft", "list", "set", "inet", "expire", "cut/v4"])
        #expect(text.contains("10.0.0.1 . 10.0.0.2 . tcp . 50000 . 443 timeout 1h expires "), "\(text)")
        let dumped = try store.dump(table: "expire").ruleset
        #expect(dumped == wanted && Change(from: dumped, to: wanted).isEmpty)
        let bare = SetElement(element.key)
        #expect(throws: KernelError.self) {
            _ = try store.commit([.addElements([bare], to: set)], table: "expire", expecting: nil)
        }
        _ = try store.commit([.deleteElements([bare], from: set)], table: "expire", expecting: nil)
        let rest = try run(["nft", "list", "set", "inet", "expire", "cut/v4"])
        #expect(!rest.contains("10.0.0.1"))
    }

    @Test("connections of both families take the time-outs of the rule that allows them; others keep the kernel's (S6)")
    func connectionTimeouts() throws {
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: "times", expecting: nil) }
        let timeouts = [
            TimeoutObject(TimeoutName("tcp-1020"), transport: .tcp, seconds: 1020),
            TimeoutObject(TimeoutName("udp-780"), transport: .udp, seconds: 780),
        ]
        let rules = timeouts.map { Step.setTimeout($0.name) }
        let chain = Chain(
            ChainName("out"), at: Attachpoint(hook: .output, priority: 20),
            rules: [
                Rule(
                    .match(.protocol, .range(6...17)), .match(.destinationPort, .range(7000...7999)), rules[0], rules[1]
                )
            ])
        let ruleset = Ruleset(table: "times", chains: [chain], timeouts: timeouts)
        _ = try store.commit(Self.building(ruleset), table: "times", expecting: nil)
        #expect(try store.dump(table: "times").ruleset == ruleset)
        let entries = try run(["python3", "-c", Self.connections]).split(separator: "\n")
        func seconds(_ transport: String, _ address: String, _ port: Int) -> Int {
            let entry = entries.first {
                $0.contains(transport) && $0.contains("dst=\(address) ") && $0.contains("dport=\(port) ")
            }
            return entry.flatMap { Int($0.split(separator: " ")[2]) } ?? -1
        }
        for address in ["127.0.0.1", "::1"] {
            #expect((1000...1020).contains(seconds("tcp", address, 7001)), "\(entries)")
            #expect((760...780).contains(seconds("udp", address, 7002)), "\(entries)")
            #expect((760...780).contains(seconds("udp", address, 7003)), "answered: \(entries)")
            #expect(seconds("tcp", address, 8001) > 1020 && 1..<760 ~= seconds("udp", address, 8002), "\(entries)")
        }
        let error = #expect(throws: KernelError.self) {
            _ = try store.commit([.deleteTimeout(timeouts[0].name)], table: "times", expecting: nil)
        }
        #expect(error?.errno == 16)
        _ = try store.commit(
            [.flushChain(chain.name), .deleteTimeout(timeouts[0].name)], table: "times", expecting: nil)
    }

    /// Opens connections over both families, and lists what conntrack holds of them.
    private static let connections = """
        import socket, subprocess
        kept = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for port in (7001, 8001):
                server = socket.create_server((host, port), family=family)
                client = socket.create_connection((host, port))
                peer = server.accept()[0]
                client.send(b"x"); peer.recv(1); peer.send(b"y"); client.recv(1)
                kept += [server, client, peer]
            for port in (7002, 7003, 8002):
                server = socket.socket(family, socket.SOCK_DGRAM)
                server.bind((host, port))
                client = socket.socket(family, socket.SOCK_DGRAM)
                client.sendto(b"x", (host, port))
                peer = server.recvfrom(1)[1]
                if port == 7003: server.sendto(b"y", peer); client.recv(1)
                kept += [server, client]
        for family in ("ipv4", "ipv6"):
            print(subprocess.run(["conntrack", "-L", "-f", family], capture_output=True, text=True).stdout)
        """
}

/// Packets from loopback to 127.1.0.0/16 on several threads, until told to stop.
private final class PacketFlood: Sendable {
    private let isOver = Atomic(false)
    private let threads = DispatchGroup()

    init(threads count: Int) {
        for number in 0..<count {
            DispatchQueue.global().async(group: threads) { [self] in
                var random = SplitMix64(seed: UInt64(number))
                while !isOver.load(ordering: .relaxed) {
                    LoopbackTraffic.datagrams(
                        to: 9,
                        addresses: (0..<256).map { _ in
                            0x7f01_0000 | UInt32.random(in: 0..<0x10000, using: &random)
                        })
                }
            }
        }
    }

    func stop() {
        isOver.store(true, ordering: .relaxed)
        threads.wait()
    }
}

/// A set that two chains look into, under a stream of packets.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own"))
struct PairedSetKernelTests {
    private static let table = "paired"
    private static let tag = SetName("tag/T.v4")

    /// Packets whose address two looks into the tag find once in and once out go to `mixed`.
    private static func policy(_ numbers: Set<Int>) -> Ruleset {
        let (entry, list) = (ChainName("to/list"), ChainName("list.0"))
        let (isIn, isOut) = (ChainName("in"), ChainName("out"))
        let isIPv4 = Step.match(.family, .equals(2))
        let found = Step.lookup(.ipDestination, in: tag)
        let absent = Step.membership([.ipDestination], of: tag, isIn: false)
        let mixed = CounterName("mixed")
        // What makes a packet's walk from one look-up to the other long.
        let others = Chain(
            ChainName("others"),
            rules: (0..<200).map { Rule(.match(.protocol, .equals(UInt128(18 + $0))), .verdict(.drop)) })
        let detour = Array(repeating: Rule(.verdict(.jump(others.name))), count: 3)
        let elements = numbers.sorted().map { number in
            SetElement(.values(0x7f01_0000 + UInt128(number) * 128...0x7f01_0000 + UInt128(number) * 128 + 99))
        }
        return Ruleset(
            table: table,
            chains: [
                Chain(
                    ChainName("send"), at: Attachpoint(hook: .output, priority: 20),
                    rules: [
                        Rule(.verdict(.jump(entry))),
                        Rule(isIPv4, .match(.ipDestination, .prefix(0x7f01_0000, length: 16)), .verdict(.drop)),
                    ]),
                Chain(entry, rules: [Rule(.verdict(.goto(list)))]),
                Chain(
                    list,
                    rules: [
                        Rule(.counter(CounterName("all"))),
                        Rule(isIPv4, found, .verdict(.goto(isIn))), Rule(isIPv4, absent, .verdict(.goto(isOut))),
                        Rule(.counter(mixed)),
                    ]),
                others, Chain(isIn, rules: detour + [Rule(isIPv4, absent, .counter(mixed))]),
                Chain(isOut, rules: detour + [Rule(isIPv4, found, .counter(mixed))]),
            ],
            sets: [NamedSet(tag, keyType: .ipv4Address, isInterval: true, isPaired: true, elements: elements)],
            counters: [CounterName("all"), mixed])
    }

    @Test("updates of a paired set under traffic: no packet meets half of one (KERNEL 2, E1)")
    func updatesUnderTraffic() throws {
        let store = try KernelRulesetStore()
        defer { _ = try? store.commit([.deleteTable], table: Self.table, expecting: nil) }
        var random = SplitMix64(seed: 7)
        var numbers = Set((0..<512).filter { _ in Bool.random(using: &random) })
        func apply(_ wanted: Ruleset) throws -> Change {
            let (inForce, start) = try store.dump(table: Self.table)
            let change = Change(from: inForce, to: wanted)
            var current = start
            for part in [change.skeleton, change.build] {
                current = try store.commitInParts(part, table: Self.table, expecting: current)
            }
            current = try store.commit(change.swap, table: Self.table, expecting: current)
            nsgd_sleep(100_000_000)
            #expect(nsgd_wait_for_packets() == 0)
            _ = try store.commitInParts(change.sweep, table: Self.table, expecting: current)
            return change
        }
        _ = try apply(Self.policy(numbers))
        let flood = PacketFlood(threads: 1)
        defer { flood.stop() }
        let updates = rounds(200, whereSlow: 20)
        for round in updates {
            numbers.formSymmetricDifference((0..<200).map { _ in Int.random(in: 0..<512, using: &random) })
            let change = try apply(Self.policy(numbers))
            #expect(change.swap.count == 4 && change.build.count <= 2 && change.sweep.count <= 2, "round \(round)")
        }
        let counters = try store.counters(table: Self.table)
        let packets = counters[CounterName("all")]?.packets ?? 0
        print("\(updates.count) updates of a paired set under \(packets) packets")
        #expect(Double(packets) > 100_000 / slowness && counters[CounterName("mixed")]?.packets == 0, "\(counters)")
        let dumped = try store.dump(table: Self.table).ruleset
        let isInForce = Change(from: dumped, to: Self.policy(numbers)).isEmpty
        #expect(isInForce)
    }
}
