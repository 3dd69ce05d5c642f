import FlowLog
import NSGModel
import NetworkTypes
import TestSupport
import Testing

@testable import NSGEngine

@Suite("Table of flows (F1)")
struct FlowTableTests {
    private struct Expected: Equatable {
        var way: ObjectIdentifier
        var dump: UInt8
        var miss: UInt16 = 0
        var predecessors: UInt8 = 0
        var told: FlowCounters?
    }

    /// Few ids and ports, so that keys collide in parts, and come again.
    private static func key(_ random: inout SplitMix64) -> FlowKey {
        func number(_ bound: UInt64) -> UInt64 { random.next() % bound }
        let isIPv6 = number(3) == 0
        let hasPorts = number(4) > 0
        func address(_ number: UInt64) -> IPAddress {
            isIPv6 ? .v6(IPv6Address(0xfd00 << 112 | UInt128(number))) : .v4(IPv4Address(0x0a01_0000 | UInt32(number)))
        }
        return FlowKey(
            id: UInt32(number(40)),
            flow: FlowTuple(
                protocol: hasPorts ? (number(2) == 0 ? .tcp : .udp) : .icmp, source: address(number(4)),
                destination: address(number(4)), sourcePort: hasPorts ? UInt16(number(20)) : nil,
                destinationPort: hasPorts ? UInt16(number(2)) : nil,
                icmpType: hasPorts ? nil : UInt8(number(3))))
    }

    @Test("holds what a dictionary holds, whatever comes and goes", arguments: UInt64(0)..<2)
    func agreesWithDictionary(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var table = FlowTable(using: &random)
        var expected: [FlowKey: Expected] = [:]
        let ways = (0..<5).map { FlowWay(sides: [], label: $0 == 0 ? nil : UInt128($0)) }
        for step in 0..<8_000 {
            let key = Self.key(&random)
            let slot = table.slot(of: key)
            if (slot != nil) != (expected[key] != nil) { Issue.record("seed \(seed), step \(step): \(key)") }
            let way = ways[Int(random.next() % 5)]
            guard let slot else {
                // First it grows, then it shrinks, and so on.
                if random.next() % 8 < (step / 2_000 % 2 == 0 ? 6 : 1) {
                    table.insert(key, way, dump: UInt8(step % 256))
                    expected[key] = Expected(way: ObjectIdentifier(way), dump: UInt8(step % 256))
                }
                continue
            }
            switch random.next() % 8 {
            case 0:
                table.setWay(way, slot)
                expected[key]?.way = ObjectIdentifier(way)
            case 1:
                let told = random.next() % 2 == 0 ? FlowCounters(packetsSent: UInt64(step)) : nil
                table[told: slot] = told
                expected[key]?.told = told
            case 2:
                (table[dump: slot], table[miss: slot]) = (UInt8(step % 256), UInt16(step % 65_536))
                expected[key]?.dump = UInt8(step % 256)
                expected[key]?.miss = UInt16(step % 65_536)
            case 3:
                table[predecessors: slot] = UInt8(step % 256)
                expected[key]?.predecessors = UInt8(step % 256)
            case 4...(step / 2_000 % 2 == 0 ? 4 : 7):
                table.remove(slot)
                expected[key] = nil
                if table.isPresent(slot) { Issue.record("seed \(seed), step \(step): it is there still") }
            default:
                if table.key(slot) != key { Issue.record("seed \(seed), step \(step): another's slot") }
            }
        }
        #expect(table.count == expected.count)
        for (key, value) in expected {
            guard let slot = table.slot(of: key) else {
                Issue.record("seed \(seed): \(key) is lost")
                continue
            }
            let found = Expected(
                way: ObjectIdentifier(table.way(slot)), dump: table[dump: slot], miss: table[miss: slot],
                predecessors: table[predecessors: slot], told: table[told: slot])
            if found != value || table.key(slot) != key { Issue.record("seed \(seed): \(key) is \(found)") }
        }
        let outdated = Set(table.slots(notIn: 7).map(table.key))
        #expect(outdated == Set(expected.filter { $0.value.dump != 7 }.keys))
        for key in expected.keys { table.slot(of: key).map { table.remove($0) } }
        #expect(table.count == 0 && table.labels.isEmpty && table.slots(notIn: 0).isEmpty)
    }

    @Test("segments that are empty give their memory back, and are filled again")
    func shrinks() throws {
        var table = FlowTable()
        let way = FlowWay(sides: [], label: 3)
        let flow = try TwoMachines.flow(port: 80)
        for count in [UInt32(33_000), 100] {
            for id in 0..<count { table.insert(FlowKey(id: id, flow: flow), way, dump: 1) }
            #expect(table.count == count && table.labels == [3])
            let slots = table.slots(notIn: 0)
            for slot in slots { table.remove(slot) }
            #expect(table.count == 0 && slots.allSatisfy { !table.isPresent($0) })
        }
    }

    @Test("ways with equal content are one, also when they are no longer the last that came")
    func sharesWays() {
        var ways = WayTable()
        let numbers = [1, 2, 1, 2, 1].map { ways.take(FlowWay(sides: [], label: $0)) }
        #expect(Set(numbers).count == 2 && ways.count == 2 && ways.labels == [1, 2])
        for number in numbers { ways.release(number) }
        #expect(ways.count == 0 && ways.labels.isEmpty)
    }
}
