internal import CNftnl
internal import NetworkTypes
internal import Nftables

// Three look-ups in one rule: the address lies in the first registers, from where its class takes its place; behind the
// class the protocol and the port, each in a register of its own, whose rest the kernel fills with zeros.

extension Classification {
    private static let protocolRegister = Register(word: 1)
    private static let portRegister = Register(word: 2)
    private static let noPortBytes = RegisterBytes(UInt128(noPort), count: 4)

    func append(to all: inout [Expression]) throws(KernelError) {
        guard address.isAddress else {
            throw KernelError(
                errno: 95, doing: "encode a look-up", object: "\(Step.classify(self))",
                explanation: "only addresses have classes")
        }
        all.append(address.load)
        all.append(.lookup(set: classes.description, yields: .number))
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
        all.append(.lookup(set: cells.description, yields: .number))
        all.append(.lookup(set: outcomes.description, yields: .verdict))
    }

    /// From what follows the first look-up; nil where that is something else. Whoever reads encodes it again, and
    /// compares.
    init?(of address: Field, classes: SetName, reading rest: inout ArraySlice<Expression>) {
        guard address.isAddress, rest.count >= 4 else { return nil }
        let parts = Array(rest.prefix(4))
        var number: UInt8?
        if case .load(let bytes, Self.protocolRegister) = parts[0], bytes.count == 4 { number = bytes[0] }
        guard case .lookup(let cells, .number, false) = parts[2], case .lookup(let outcomes, .verdict, false) = parts[3]
        else { return nil }
        rest = rest.dropFirst(4)
        self.init(
            address: address, classes: classes, protocolNumber: number,
            readsPort: parts[1].loadedRegister == Self.portRegister, cells: SetName(cells), outcomes: SetName(outcomes))
    }
}
