/// Four maps one after the other, of which the last says what a packet meets: from its address to a class, then from
/// the class, the protocol and the port to an outcome. A packet that `points` does not hold is looked up in `ranges` by
/// its class, one that it holds by what `points` gave.
package struct Classification: Hashable, Sendable {
    /// One of the four address fields.
    package var address: Field
    /// From intervals of addresses to numbers of classes.
    package var classes: SetName
    /// Looked up instead of the packet's protocol.
    package var protocolNumber: UInt8?
    /// Whether the destination port is looked up; else `noPort` stands for it.
    package var readsPort: Bool
    /// From class, protocol and port (`key`) to numbers of points, `noPoint` for all else (`SetKey.catchAll`); nil
    /// where nothing is a point.
    package var points: SetName?
    /// From the number of a point, class, protocol and port (`key`) to numbers of outcomes.
    package var ranges: SetName
    /// From numbers of outcomes to verdicts.
    package var outcomes: SetName

    package init(
        address: Field, classes: SetName, protocolNumber: UInt8? = nil, readsPort: Bool, points: SetName?,
        ranges: SetName, outcomes: SetName
    ) {
        self.address = address
        self.classes = classes
        self.protocolNumber = protocolNumber
        self.readsPort = readsPort
        self.points = points
        self.ranges = ranges
        self.outcomes = outcomes
    }

    /// In place of a port; the low 16 bits are zeros where there is one.
    package static let noPort: UInt32 = 0xffff_ffff
    /// Of what is none.
    package static let noPoint: UInt32 = 0

    /// The types of the keys of `points`, of `ranges` and of `outcomes`.
    package static let pointType = KeyType.integer(width: 12)
    package static let rangeType = KeyType.integer(width: 16)
    package static let outcomeType = KeyType.integer(width: 4)

    /// A key of `points`, as three registers of 4 bytes hold it: the class; the protocol in the first byte; the port in
    /// the first two, nil for `noPort`. The same number is the key of `ranges`, of four registers, where there is no
    /// point.
    package static func key(class number: UInt32, protocol protocolNumber: UInt8, port: UInt16?) -> UInt128 {
        let last = port.map { UInt32($0) << 16 } ?? noPort
        return UInt128(number) << 64 | UInt128(protocolNumber) << 56 | UInt128(last)
    }

    /// The keys of `ranges` that a point of this number has, whatever its class, protocol and port are.
    package static func keys(ofPoint number: UInt32) -> ClosedRange<UInt128> {
        let first = UInt128(number) << 96
        return first...(first + (1 << 96 - 1))
    }

    package var sets: [SetName] { [classes] + (points.map { [$0] } ?? []) + [ranges, outcomes] }

    /// What it looks at.
    var fields: [Field] {
        [address] + (protocolNumber == nil ? [.protocol] : []) + (readsPort ? [.destinationPort] : [])
    }

    func text(ports prefix: String) -> String {
        let words = [
            "\(address.name(ports: prefix)) map @\(classes)",
            protocolNumber.map { "\($0)" } ?? Field.protocol.name(ports: prefix),
            readsPort ? Field.destinationPort.name(ports: prefix) : "0xffffffff",
        ]
        let maps = points.map { "map @\($0) else @\(ranges)" } ?? "map @\(ranges)"
        return "\(words.joined(separator: " . ")) \(maps) vmap @\(outcomes)"
    }
}
