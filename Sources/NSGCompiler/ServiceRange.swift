import NSGModel
import NetworkTypes
import Nftables

/// Protocols and ports in one line, without gaps: what a packet's protocol and port are looked up by (`CellTable`).
///
/// A protocol takes 65,537 numbers: one for each port, and the last for packets without ports, or none that can be
/// read. Of ICMP they tell nothing apart, since where others have the destination port it has a checksum. DCCP and
/// UDP-Lite are not there: a rule for ports cannot name them, so what it says of SCTP goes for them too (`Folded`).
struct ServiceRange: Equatable {
    var first: UInt32
    var last: UInt32

    private static let width: UInt32 = 0x1_0001

    /// Of one protocol, or of several one behind the other.
    init(first: UInt32, last: UInt32) {
        self.first = first
        self.last = last
    }

    /// - Parameter services: of one protocol (`Service`).
    init(_ services: ClosedRange<UInt128>) {
        func position(_ service: UInt128) -> UInt32 {
            UInt32(Service.protocolNumber(of: service)) * Self.width
                + UInt32(truncatingIfNeeded: Service.port(of: service))
        }
        first = position(services.lowerBound)
        last = position(services.upperBound)
    }

    static func all(of protocols: ClosedRange<UInt8>) -> ServiceRange {
        ServiceRange(
            first: UInt32(protocols.lowerBound) * width, last: (UInt32(protocols.upperBound) + 1) * width - 1)
    }

    var isOne: Bool { first == last }
    /// Ends with packets that have no port: all of its last protocol is in it.
    var isWhole: Bool { last % Self.width == Self.width - 1 }
    /// Holds packets of some protocol that have no port.
    var holdsPortless: Bool { (last + 1) / Self.width > first / Self.width }

    func overlaps(_ other: ServiceRange) -> Bool { first <= other.last && other.first <= last }
    func contains(_ service: UInt32) -> Bool { first <= service && service <= last }

    // MARK: Keys

    /// As the kernel compares them.
    static func key(of service: UInt32, in group: UInt32) -> UInt128 {
        Classification.key(
            class: group, protocol: UInt8(service / width), port: UInt16(exactly: service % width))
    }

    func keys(in group: UInt32) -> ClosedRange<UInt128> {
        let end = Self.key(of: last, in: group)
        // Behind a port there is nothing up to the next one.
        let gap: UInt128 = isWhole ? 0 : last % Self.width == 0xffff ? 0xfffe : 0xffff
        return Self.key(of: first, in: group)...(end + gap)
    }
}

/// Protocols with ports that no rule tells apart.
enum Folded {
    static let protocols: [IPProtocol] = [.dccp, .udplite]
    /// Of which they share the entries.
    static let representative = IPProtocol.sctp
    /// Which these entries are.
    static let services = ServiceRange.all(of: representative.rawValue...representative.rawValue)

    /// All protocols but these.
    static let others: [ServiceRange] = {
        var ranges: [ServiceRange] = []
        var first: UInt8 = 0
        for number in protocols.map(\.rawValue).sorted() {
            ranges.append(.all(of: first...(number - 1)))
            first = number + 1
        }
        return ranges + [.all(of: first...255)]
    }()
}
