internal import CNftnl
internal import NetworkTypes
internal import Nftables

// Three look-ups in one rule. The address lies where its class takes its place, and then the outcome; behind the class lie
// the protocol and the port, each in a register of its own, whose rest the kernel fills with zeros.
//
// nft 1.0.6 knows no length of what a map gives, and aborts (`netlink_parse_concat_expr`) where it lists a look-up of
// that. So a number has 8 bytes, of which the first 4 are zeros and go before the address: there nft takes the map for
// written, and where the class is it still sees the address (`ip saddr . meta l4proto . th dport map @cells`).

extension Classification {
    private static let addressRegister = Register(word: 4)
    private static let protocolRegister = Register(word: 5)
    private static let portRegister = Register(word: 6)
    private static let noPortBytes = RegisterBytes(UInt128(noPort), count: 4)

    func append(to all: inout [Expression]) throws(KernelError) {
        guard address.isAddress else {
            throw KernelError(
                errno: 95, doing: "encode a look-up", object: "\(Step.classify(self))",
                explanation: "only addresses have classes")
        }
        let from = Self.addressRegister
        all.append(address.load.loading(into: from))
        all.append(.lookup(set: classes.description, from: from, yields: .number))
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
        all.append(.lookup(set: cells.description, from: from, yields: .number))
        all.append(.lookup(set: outcomes.description, from: from, yields: .verdict))
    }

    /// Whether what loads an address loads it for its class.
    static func begins(with load: Expression) -> Bool { load.loadedRegister == addressRegister }

    /// From what follows the load; nil where that is something else. Whoever reads encodes it again, and compares.
    init?(beginningWith load: Expression, reading rest: inout ArraySlice<Expression>) {
        var loaded = 0
        guard let address = Field(loadedBy: load.loading(into: .first), isICMPv6: false, length: &loaded),
            rest.count >= 5
        else { return nil }
        let parts = Array(rest.prefix(5))
        var number: UInt8?
        if case .load(let bytes, Self.protocolRegister) = parts[1], bytes.count == 4 { number = bytes[0] }
        guard case .lookup(let classes, _, .number, _) = parts[0], case .lookup(let cells, _, .number, _) = parts[3],
            case .lookup(let outcomes, _, .verdict, _) = parts[4]
        else { return nil }
        rest = rest.dropFirst(5)
        self.init(
            address: address, classes: SetName(classes), protocolNumber: number,
            readsPort: parts[2].loadedRegister == Self.portRegister, cells: SetName(cells), outcomes: SetName(outcomes))
    }
}
