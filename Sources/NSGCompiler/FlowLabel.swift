package import NSGModel

/// The device a packet comes in through, or the one it goes out through. A label has slots for the lists of both, so
/// that a packet between two bound interfaces carries the rules of each, whichever the attachments.
package enum DeviceSide: Int, Hashable, Sendable, CaseIterable {
    case entry = 0
    case exit = 1

    /// The side on which an interface meets traffic of a direction (C3).
    package init(_ direction: Direction, _ attachment: Attachment) {
        self = (direction == .inbound) == (attachment == .host) ? .entry : .exit
    }
}

/// One of the six places in a label where a list writes the number of the rule that allowed a flow.
package struct LabelSlot: Hashable, Sendable {
    package var side: DeviceSide
    package var level: PolicyLevel

    package init(side: DeviceSide, level: PolicyLevel) {
        self.side = side
        self.level = level == .platform ? .admin : level
    }

    private static let levels: [PolicyLevel] = [.admin, .nic, .subnet]

    /// Level by level: security admin rules, NIC, subnet. What the platform decides has the place of the admin rules: a
    /// packet meets one or the other.
    package var index: Int { side.rawValue * 3 + (level == .nic ? 1 : level == .subnet ? 2 : 0) }

    package init?(index: Int) {
        guard index >= 0, let side = DeviceSide(rawValue: index / 3) else { return nil }
        self.init(side: side, level: Self.levels[index % 3])
    }

    package static let all: [LabelSlot] = (0..<6).compactMap { LabelSlot(index: $0) }
}

/// The layout of the 128 bits of a conntrack label (E4, KERNEL 6): six slots of 20 bits from bit 0 up, then bit 120 for
/// "every stage has allowed", bit 121 for "a later pass was refused", bit 122 for "allowed as far as the destination";
/// the rest is spare.
package enum FlowLabel {
    package static let decided: UInt128 = 1 << 120
    /// Bit 121: a later pass of the connection was refused, so its packets are judged one by one (KERNEL 4).
    package static let refused: UInt128 = 1 << 121
    /// Bit 122: the pass that leads to the connection's destination has been allowed. Where nobody routes that is the
    /// first (KERNEL 4).
    package static let settled: UInt128 = 1 << 122
    private static let width = 20

    package static func bits(_ number: RuleNumber, in slot: LabelSlot) -> UInt128 {
        UInt128(number.value) << UInt128(slot.index * width)
    }

    package static func number(in slot: LabelSlot, of label: UInt128) -> RuleNumber? {
        let value = UInt32(truncatingIfNeeded: label >> UInt128(slot.index * width) & 0xf_ffff)
        return value == 0 ? nil : RuleNumber(value)
    }

    /// Every number a label carries.
    package static func numbers(of label: UInt128) -> [RuleNumber] {
        LabelSlot.all.compactMap { number(in: $0, of: label) }
    }
    package static func isDecided(_ label: UInt128) -> Bool { label & decided != 0 }
    package static func isSettled(_ label: UInt128) -> Bool { label & settled != 0 }
}

/// What the prefix of a logged packet says. Text, since tcpdump and Wireshark show it.
package enum DecisionMark: Hashable, Sendable, CustomStringConvertible {
    /// Every list allowed; which rules did is in the connection's label.
    case allowed
    /// The same on a further pass through this host, whose rules are in no label (KERNEL 4).
    case allowedAgain
    case denied(LabelSlot, RuleNumber)

    package var description: String {
        switch self {
        case .allowed: "nsgd allow"
        case .allowedAgain: "nsgd allow again"
        case .denied(let slot, let number): "nsgd deny \(slot.index) \(number)"
        }
    }

    package init?(_ prefix: String) {
        let words = prefix.split(separator: " ")
        switch words.count {
        case 2 where words == ["nsgd", "allow"]: self = .allowed
        case 3 where words == ["nsgd", "allow", "again"]: self = .allowedAgain
        case 4 where words[0] == "nsgd" && words[1] == "deny":
            guard let slot = Int(words[2]).flatMap(LabelSlot.init(index:)), let number = UInt32(words[3]),
                RuleNumber.range.contains(number)
            else { return nil }
            self = .denied(slot, RuleNumber(number))
        default: return nil
        }
    }
}
