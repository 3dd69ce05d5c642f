internal import CNftnl
internal import NetworkTypes
internal import Nftables

// Four look-ups in one rule. The key of `ranges` lies in words 3 to 6: the point, the class, the protocol and the port,
// each in a word whose rest the kernel fills with zeros; that of `points` is the last three of them. A number has 8
// bytes, of which the first 4 are zeros and go into the word before: that of the class into word 3, which so is "no
// point" already; that of the point into word 2. The outcome goes where the address was.
//
// nft 1.0.6 knows no length of what a map gives, and aborts (`netlink_parse_concat_expr`) where it lists a look-up of a
// key in which it sees that. It takes a map to write the first word of a number alone. So zeros are loaded into word 4
// before the class is written there, and into word 3 behind that; and of the whole nft shows what it sees where the
// outcome is: the address (`ip saddr vmap @outcomes`).

extension Classification {
    private static let (pointRegister, classRegister) = (Register(word: 3), Register(word: 4))
    private static let protocolRegister = Register(word: 5)
    private static let portRegister = Register(word: 6)
    private static let addressRegister = Register(word: 8)
    private static let zero = RegisterBytes(0, count: 4)
    private static let noPortBytes = RegisterBytes(UInt128(noPort), count: 4)

    func append(to all: inout [Expression]) throws(KernelError) {
        guard address.isAddress else {
            throw KernelError(
                errno: 95, doing: "encode a look-up", object: "\(Step.classify(self))",
                explanation: "only addresses have classes")
        }
        all.append(.load(Self.zero, into: Self.classRegister))
        all.append(address.load.loading(into: Self.addressRegister))
        all.append(Self.lookup(classes, from: Self.addressRegister, into: Self.classRegister))
        all.append(.load(Self.zero, into: Self.pointRegister))
        if let protocolNumber {
            let bytes = RegisterBytes(UInt128(protocolNumber) << 24, count: 4)
            all.append(.load(bytes, into: Self.protocolRegister))
        } else {
            all.append(Field.protocol.load.loading(into: Self.protocolRegister))
        }
        all.append(
            readsPort
                ? Field.destinationPort.load.loading(into: Self.portRegister)
                : .load(Self.noPortBytes, into: Self.portRegister))
        if let points { all.append(Self.lookup(points, from: Self.classRegister, into: Self.pointRegister)) }
        all.append(Self.lookup(ranges, from: Self.pointRegister, into: Self.addressRegister))
        all.append(.lookup(set: outcomes.description, from: Self.addressRegister, yields: .verdict))
    }

    /// - Parameter register: where the number itself shall be.
    private static func lookup(_ map: SetName, from: Register, into register: Register) -> Expression {
        .lookup(set: map.description, from: from, yields: .number(into: Register(word: register.word - 1)))
    }

    /// Whether it is what a look-up begins with.
    static func begins(with first: Expression) -> Bool { first == .load(zero, into: classRegister) }

    /// From what follows the first; nil where that is something else. Whoever reads encodes it again, and compares.
    init?(reading rest: inout ArraySlice<Expression>) {
        guard rest.count >= 7 else { return nil }
        let parts = Array(rest.prefix(8))
        var loaded = 0
        guard let address = Field(loadedBy: parts[0].loading(into: .first), isICMPv6: false, length: &loaded),
            case .lookup(let classes, _, _, _) = parts[1]
        else { return nil }
        var number: UInt8?
        if case .load(let bytes, Self.protocolRegister) = parts[3], bytes.count == 4 { number = bytes[0] }
        let maps = parts[5...].prefix { if case .lookup = $0 { true } else { false } }.compactMap { part in
            if case .lookup(let name, _, _, _) = part { SetName(name) } else { nil }
        }
        guard maps.count >= 2 else { return nil }
        rest = rest.dropFirst(5 + maps.count)
        self.init(
            address: address, classes: SetName(classes), protocolNumber: number,
            readsPort: parts[4].loadedRegister == Self.portRegister, points: maps.count == 3 ? maps[0] : nil,
            ranges: maps[maps.count - 2], outcomes: maps[maps.count - 1])
    }
}
