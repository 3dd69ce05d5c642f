/// An address's class, and what the class's packets of one protocol and port meet, through three maps.
package struct Classification: Hashable, Sendable {
    /// One of the four address fields.
    package var address: Field
    /// From intervals of addresses to numbers of classes.
    package var classes: SetName
    /// Looked up instead of the packet's protocol.
    package var protocolNumber: UInt8?
    /// Whether the destination port is looked up; else `noPort` stands for it.
    package var readsPort: Bool
    /// From class, protocol and port (`key`) to numbers of outcomes.
    package var cells: SetName
    /// From numbers of outcomes to verdicts.
    package var outcomes: SetName

    package init(
        address: Field, classes: SetName, protocolNumber: UInt8? = nil, readsPort: Bool, cells: SetName,
        outcomes: SetName
    ) {
        self.address = address
        self.classes = classes
        self.protocolNumber = protocolNumber
        self.readsPort = readsPort
        self.cells = cells
        self.outcomes = outcomes
    }

    /// In place of a port; the low 16 bits are zeros where there is one.
    package static let noPort: UInt32 = 0xffff_ffff

    /// The types of the keys of `cells` and of `outcomes`.
    package static let cellType = KeyType.integer(width: 12)
    package static let outcomeType = KeyType.integer(width: 4)

    /// A key of `cells`, as three registers of 4 bytes hold it: the class; the protocol in the first byte; the port in the
    /// first two, nil for `noPort`.
    package static func key(class number: UInt32, protocol protocolNumber: UInt8, port: UInt16?) -> UInt128 {
        let last = port.map { UInt32($0) << 16 } ?? noPort
        return UInt128(number) << 64 | UInt128(protocolNumber) << 56 | UInt128(last)
    }

    package var sets: [SetName] { [classes, cells, outcomes] }

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
        return "\(words.joined(separator: " . ")) map @\(cells) vmap @\(outcomes)"
    }
}
