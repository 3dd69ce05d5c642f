package import JSONText
package import NSGModel
import NetworkTypes

/// A question of IP flow verify (K5): would this packet pass at this interface?
package struct FlowQuery: Hashable, Sendable {
    /// Name or id of a network interface, or of the virtual machine that has it.
    package enum Target: Hashable, Sendable {
        case networkInterface(String)
        case virtualMachine(String)
    }

    package var target: Target
    package var direction: Direction
    package var flow: FlowTuple

    /// Why a question cannot be answered; one sentence.
    package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
        init(_ description: String) { self.description = description }
    }

    /// - Parameters:
    ///   - local: `IP:PORT`, `[IPv6]:PORT`, `IP:*`, or for a protocol without ports the bare IP: the interface's side.
    ///   - remote: the other side.
    package init(
        nic: String?, vm: String?, direction: String, protocol: String, local: String, remote: String
    ) throws(Problem) {
        switch (nic, vm) {
        case (let nic?, nil): target = .networkInterface(nic)
        case (nil, let vm?): target = .virtualMachine(vm)
        // As in Azure, which takes the machine and, where it has several interfaces, the interface too.
        case (let nic?, .some): target = .networkInterface(nic)
        case (nil, nil): throw Problem("name a network interface (nic) or a virtual machine (vm)")
        }
        guard let known = Direction.allCases.first(where: { $0.rawValue.lowercased() == direction.lowercased() }) else {
            throw Problem("direction '\(direction)' is neither Inbound nor Outbound")
        }
        guard let number = IPProtocol(`protocol`) else {
            throw Problem("protocol '\(`protocol`)' is neither a name such as TCP, UDP, ICMP nor a number 0 to 255")
        }
        let here = try Self.end(local, of: number, "local")
        let there = try Self.end(remote, of: number, "remote")
        guard here.address.family == there.address.family else {
            throw Problem("local \(here.address) and remote \(there.address) are of different address families")
        }
        self.direction = known
        let (source, destination) = known == .inbound ? (there, here) : (here, there)
        flow = FlowTuple(
            protocol: number, source: source.address, destination: destination.address, sourcePort: source.port,
            destinationPort: destination.port)
    }

    /// From an object with the members of the method `Verify`. Unknown members are refused: a misspelt one would be
    /// ignored.
    package init(_ document: JSONValue) throws(Problem) {
        guard let members = document.object else { throw Problem("a query is an object") }
        let known = ["nic", "vm", "direction", "protocol", "local", "remote"]
        if let stranger = members.first(where: { !known.contains($0.key) }) {
            throw Problem("'\(stranger.key)' is no member of a query; those are \(known.joined(separator: ", "))")
        }
        func text(_ key: String) throws(Problem) -> String? {
            guard let value = document[key], !value.isNull else { return nil }
            guard let text = value.string else { throw Problem("'\(key)' is not a string") }
            return text
        }
        func needed(_ key: String) throws(Problem) -> String {
            guard let text = try text(key) else { throw Problem("'\(key)' is missing") }
            return text
        }
        try self.init(
            nic: text("nic"), vm: text("vm"), direction: needed("direction"), protocol: needed("protocol"),
            local: needed("local"), remote: needed("remote"))
    }

    private static func end(
        _ text: String, of protocol: IPProtocol, _ side: String
    ) throws(Problem) -> (address: IPAddress, port: UInt16?) {
        func problem(_ what: String) -> Problem { Problem("\(side) '\(text)': \(what)") }
        let (host, isBracketed, port) = parts(of: text)
        guard let address = IPAddress(host) else { throw problem("'\(host)' is no IP address") }
        let isIPv6 = address.family == .ipv6
        guard let port else {
            guard `protocol`.hasPorts else { return (address, nil) }
            throw problem(
                isIPv6
                    ? "\(`protocol`) has ports; write [IPv6]:PORT, or [IPv6]:* to leave the port open"
                    : "\(`protocol`) has ports; write \(address):PORT, or \(address):* to leave the port open")
        }
        guard isBracketed == isIPv6 else {
            throw problem(
                isIPv6 ? "an IPv6 address stands in brackets: [\(address)]:\(port)" : "only IPv6 stands in brackets")
        }
        if port == "*" { return (address, nil) }
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(port) else {
            throw problem("'\(port)' is neither a port 0 to 65535 nor *")
        }
        guard `protocol`.hasPorts else { throw problem("\(`protocol`) has no ports; give the bare IP") }
        return (address, number)
    }

    /// A text that is an IP address as a whole is one without a port: `2001:db8::1:443` too.
    private static func parts(of text: String) -> (host: Substring, isBracketed: Bool, port: Substring?) {
        if text.first == "[", let end = text.firstIndex(of: "]") {
            let host = text[..<end].dropFirst()
            let rest = text[end...].dropFirst()
            return (host, true, rest.isEmpty ? nil : rest.first == ":" ? rest.dropFirst() : rest)
        }
        guard IPAddress(text) == nil, let colon = text.lastIndex(of: ":") else { return (text[...], false, nil) }
        return (text[..<colon], false, text[colon...].dropFirst())
    }
}
