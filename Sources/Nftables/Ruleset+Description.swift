import NetworkTypes

// Everything prints as nft reads it (`nft -f`), in the form in which `nft list` prints it; but for a look-up through
// several maps (`Classification`), of which nft shows a part and reads none.

extension Ruleset: CustomStringConvertible {
    /// The whole table. Chains are declared first, since maps and rules may name any of them.
    package var description: String {
        var lines = ["table inet \(table) {"]
        let ordered = chains.values.sorted(by: Self.inReadingOrder)
        lines += ordered.filter { $0.attachpoint == nil }.map { "\tchain \($0.name) { }" }
        lines += counters.sorted().map { "\tcounter \($0) { }" }
        for timeout in timeouts.values.sorted(by: { $0.name < $1.name }) { lines += ["", timeout.description] }
        for set in sets.values.sorted(by: { $0.name < $1.name }) { lines += ["", set.description] }
        for chain in ordered { lines += ["", chain.description] }
        return lines.joined(separator: "\n") + "\n}\n"
    }

    /// Base chains in the order of their hooks, then the others by name.
    private static func inReadingOrder(_ left: Chain, _ right: Chain) -> Bool {
        switch (left.attachpoint, right.attachpoint) {
        case (let first?, let second?): first.hook.rawValue < second.hook.rawValue
        case (.some, nil): true
        case (nil, .some): false
        case (nil, nil): left.name < right.name
        }
    }
}

extension Chain: CustomStringConvertible {
    package var description: String {
        var lines = ["\tchain \(name) {"]
        if let attachpoint { lines.append("\t\t\(attachpoint)") }
        lines += rules.map { "\t\t\($0)" }
        return (lines + ["\t}"]).joined(separator: "\n")
    }
}

extension Attachpoint: CustomStringConvertible {
    package var description: String { "type filter hook \(hook) priority \(priorityText); policy accept;" }

    /// nft writes priorities near its named ones by these (`filter + 10`); of ours that is the one of `raw`.
    private var priorityText: String { priority == -300 ? "raw" : "\(priority)" }
}

extension NamedSet: CustomStringConvertible {
    package var description: String {
        var lines = ["\t\(kindText) \(name) {"]
        lines.append("\t\ttype \(keyType.nftName)\(valuesText)")
        let flags = [isInterval ? "interval" : nil, expires ? "timeout" : nil].compactMap(\.self)
        if !flags.isEmpty { lines.append("\t\tflags \(flags.joined(separator: ","))") }
        if !elements.isEmpty {
            let separator = ",\n\t\t\t     "
            lines.append("\t\telements = { \(elements.map(text(of:)).joined(separator: separator)) }")
        }
        return (lines + ["\t}"]).joined(separator: "\n")
    }

    package func text(of element: SetElement) -> String {
        let key = keyType.text(of: element.key)
        return switch element.value {
        case .none: key
        case .verdict(let verdict): "\(key) : \(verdict)"
        case .number(let number): "\(key) : \(number)"
        case .timeout(let milliseconds): "\(key) timeout \(milliseconds)ms"
        }
    }

    /// What nft calls it.
    package var kindText: String { isMap ? "map" : "set" }

    private var valuesText: String {
        switch values {
        case .none: ""
        case .verdicts: " : verdict"
        case .numbers: " : integer"
        }
    }
}

extension TimeoutObject: CustomStringConvertible {
    package var description: String {
        let policy = transport == .tcp ? "established : \(seconds)" : "unreplied : \(seconds), replied : \(seconds)"
        let lines = ["protocol \(transport)", "l3proto inet", "policy = { \(policy) }"].map { "\t\t\($0)" }
        return (["\tct timeout \(name) {"] + lines + ["\t}"]).joined(separator: "\n")
    }
}

extension KeyType {
    package var nftName: String {
        switch self {
        case .ipv4Address: "ipv4_addr"
        case .ipv6Address: "ipv6_addr"
        case .inetService: "inet_service"
        case .inetProtocol: "inet_proto"
        case .deviceName: "ifname"
        case .integer: "integer"
        case .concatenation(let types): types.map(\.nftName).joined(separator: " . ")
        }
    }

    func text(of key: SetKey) -> String {
        switch (key, self) {
        case (.device(let name), _): "\"\(name)\""
        case (.values(let range), _): text(of: range)
        case (.concatenation(let keys), .concatenation(let types)):
            zip(types, keys).map { $0.text(of: $1) }.joined(separator: " . ")
        case (.concatenation, _): ""
        case (.catchAll, _): "*"
        }
    }

    /// A value, a prefix where the range is one, or a range.
    func text(of range: ClosedRange<UInt128>) -> String {
        let one = { (value: UInt128) in self.text(of: value) }
        if range.lowerBound == range.upperBound { return one(range.lowerBound) }
        if self == .ipv4Address || self == .ipv6Address {
            let span = range.upperBound - range.lowerBound
            if span & (span &+ 1) == 0, range.lowerBound & span == 0 {
                return "\(one(range.lowerBound))/\(width * 8 - (128 - span.leadingZeroBitCount))"
            }
        }
        return "\(one(range.lowerBound))-\(one(range.upperBound))"
    }

    func text(of value: UInt128) -> String {
        switch self {
        case .ipv4Address: IPv4Address(UInt32(truncatingIfNeeded: value)).description
        case .ipv6Address: IPv6Address(value).description
        case .inetProtocol: ProtocolNames.text(of: value)
        case .inetService, .deviceName, .integer, .concatenation: "\(value)"
        }
    }
}

extension Verdict: CustomStringConvertible {
    package var description: String {
        switch self {
        case .accept: "accept"
        case .drop: "drop"
        case .return: "return"
        case .jump(let chain): "jump \(chain)"
        case .goto(let chain): "goto \(chain)"
        }
    }
}

extension ConnectionState: CustomStringConvertible {
    package var description: String {
        let names: [(ConnectionState, String)] = [
            (.invalid, "invalid"), (.established, "established"), (.related, "related"), (.new, "new"),
            (.untracked, "untracked"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: ",")
    }
}

enum ProtocolNames {
    private static let names: [UInt128: String] = [
        1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
        132: "sctp", 136: "udplite",
    ]
    static func text(of number: UInt128) -> String { names[number] ?? "\(number)" }
}
