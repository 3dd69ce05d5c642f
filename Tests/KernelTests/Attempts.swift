import JSONText
import TestSupport
import Testing

/// A first packet of a machine, and where to: a connection, a datagram or a ping.
struct Attempt: CustomStringConvertible {
    var transport: String
    var address: String
    var port = 0
    /// What to send from; the stack's choice where it is empty or 0.
    var source = ""
    var sourcePort = 0
    /// Bytes of a datagram.
    var size = 8

    static func tcp(_ address: String, _ port: Int, from source: String = "") -> Self {
        Self(transport: "tcp", address: address, port: port, source: source)
    }

    static func udp(
        _ address: String, _ port: Int, from source: String = "", _ sourcePort: Int = 0, size: Int = 8
    ) -> Self {
        Self(
            transport: "udp", address: address, port: port, source: source, sourcePort: sourcePort,
            size: size)
    }

    static func ping(_ address: String, from source: String = "") -> Self {
        Self(transport: "icmp", address: address, source: source)
    }

    var description: String {
        "\(transport) \(source.isEmpty ? "" : "\(source) ")to \(address)\(port == 0 ? "" : " \(port)")"
    }

    fileprivate var json: JSONValue {
        [
            "protocol": JSONValue(transport), "address": JSONValue(address), "port": JSONValue(port),
            "source": JSONValue(source), "sourcePort": JSONValue(sourcePort), "size": JSONValue(size),
        ]
    }
}

extension TestMachine {
    /// Makes all attempts at once: "answered", "silence", or the name of an error for each. Ends a little after
    /// `enough` were answered.
    func outcomes(of attempts: [Attempt], enough: Int, within seconds: Double) throws -> [String] {
        let answer = try ask(
            "attempt",
            [
                ("to", JSONValue(attempts.map(\.json))), ("enough", JSONValue(enough)), ("within", JSONValue(seconds)),
            ])
        return answer["results"]?.array?.map { $0.string ?? "" } ?? []
    }

    /// Makes all attempts at once. Those that are to pass are answered; of those that are to be refused nothing is
    /// heard, not even that nobody listens there.
    func expect(
        passing: [Attempt], refused: [Attempt] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let results = try outcomes(
            of: passing + refused, enough: passing.count, within: passing.isEmpty ? Self.short : Self.long)
        // The kernel tells the sender of a datagram that its own rules refused it.
        let silence: Set = ["silence", "PermissionError"]
        let wrong =
            zip(passing, results).filter { $0.1 != "answered" }
            + zip(refused, results.dropFirst(passing.count)).filter { !silence.contains($0.1) }
        let text = wrong.map { "\($0.0): \($0.1)" }.joined(separator: "; ")
        #expect(
            results.count == passing.count + refused.count && wrong.isEmpty, "\(name): \(text)",
            sourceLocation: sourceLocation)
    }
}

/// Machines' links as packet sockets: packets go on them as they are, whatever the machines' stacks would do.
final class Wires {
    private let network: TestNetwork
    private var taps: [String: PacketTap] = [:]
    private var routers: [String: [UInt8]] = [:]

    init(_ network: TestNetwork, _ machines: String...) throws {
        self.network = network
        for name in machines {
            taps[name] = try PacketTap(of: network[name])
            routers[name] = try network.routerAddress(behind: name)
        }
    }

    /// Puts a packet on a machine's link, for the router.
    func send(_ packet: [UInt8], from machine: String) { taps[machine]?.send(packet, to: routers[machine] ?? []) }

    /// What has come to a machine since the last call, from the network header on.
    func received(by machine: String) -> [[UInt8]] { taps[machine]?.receive() ?? [] }

    /// Sends packets one after the other, those that are to be refused first, and looks at which come out elsewhere.
    ///
    /// - Precondition: some pass; when they have come, what was before them has.
    func expect(
        passing: [(String, [UInt8])], refused: [(String, [UInt8])] = [], from sender: String, to receiver: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        precondition(!passing.isEmpty, "nothing would tell when the others have had their time")
        _ = received(by: receiver)
        for (_, packet) in refused + passing { send(packet, from: sender) }
        var arrived: Set<[UInt8]> = []
        let wanted = passing.map { Self.invariant(of: $0.1) }
        let isComplete = eventually {
            arrived.formUnion(received(by: receiver).map(Self.invariant))
            return arrived.isSuperset(of: wanted)
        }
        let missing = passing.filter { !arrived.contains(Self.invariant(of: $0.1)) }.map(\.0)
        let leaked = refused.filter { arrived.contains(Self.invariant(of: $0.1)) }.map(\.0)
        #expect(
            isComplete && leaked.isEmpty, "\(sender) to \(receiver): missing \(missing), leaked \(leaked)",
            sourceLocation: sourceLocation)
    }

    /// What a router leaves as it is: all but the hop count and the header's checksum.
    private static func invariant(of packet: [UInt8]) -> [UInt8] {
        packet.first.map { $0 >> 4 } == 6
            ? Array(packet[4..<7] + packet.dropFirst(8))
            : Array(packet.prefix(8) + packet[9..<10] + packet.dropFirst(12))
    }
}
