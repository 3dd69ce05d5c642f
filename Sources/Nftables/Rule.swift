package enum Verdict: Hashable, Sendable {
    case accept, drop, `return`
    case jump(ChainName)
    case goto(ChainName)

    package var target: ChainName? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .return: nil
        }
    }
}

/// Where copies of packets go: an NFLOG group, which libpcap opens as `nflog:5`.
package struct PacketCopy: Hashable, Sendable {
    package var group: UInt16
    /// Bytes of each packet, from the network header.
    package var snapLength: UInt32
    /// At most 127 bytes (`NF_LOG_PREFIXLEN`).
    package var prefix: String

    package init(group: UInt16, snapLength: UInt32, prefix: String) {
        self.group = group
        self.snapLength = snapLength
        self.prefix = prefix
    }
}

/// One step of a rule. Steps run left to right; the first that does not match ends the rule. What is large and rare is
/// stored beside: most rules count, label and give a verdict.
package enum Step: Hashable, Sendable {
    indirect case match(Field, Comparison)
    case lookup(Field, in: SetName)
    /// Goes on where the fields, one behind the other, are an element of the set (`isIn`), or where they are none. Of
    /// one field that shall be in, a rule makes a `lookup`, which is the same to the kernel.
    case membership([Field], of: SetName, isIn: Bool)
    /// Does what the map holds for the field's value; a value it does not hold ends the rule.
    case dispatch(Field, through: SetName)
    /// Does what the last of several maps holds; a packet that one of them does not hold, or whose port cannot be read,
    /// goes on with the next rule.
    indirect case classify(Classification)
    case counter(CounterName)
    /// Sets these bits in the connection's label beside those it has (the kernel ORs them in).
    case setLabel(UInt128)
    case log(PacketCopy)
    /// Gives a connection that is not confirmed yet the time-outs of a `ct timeout` object; without effect on other
    /// protocols and on confirmed ones. The last one wins.
    case setTimeout(TimeoutName)
    case verdict(Verdict)
}

package struct Rule: Hashable, Sendable {
    package var steps: [Step]
    /// At most 127 bytes; nft shows it.
    package var comment: String?

    package init(_ steps: [Step], comment: String? = nil) {
        self.steps = steps.map { step in
            guard case .membership(let fields, let set, true) = step, fields.count == 1 else { return step }
            return .lookup(fields[0], in: set)
        }
        self.comment = comment
    }

    package init(_ steps: Step..., comment: String? = nil) {
        self.init(steps, comment: comment)
    }
}
