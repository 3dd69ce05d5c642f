internal import CNftnl
internal import Netlink
package import NetworkTypes
package import Nftables

// Reading a table back. Every request names our table; only chains cannot be asked for by table, and those of others
// are passed over.

extension KernelRulesetStore {
    package func dump(table: String) throws(KernelError) -> (ruleset: Ruleset?, generation: Generation) {
        try requireName(table, of: "table")
        var before = try generation()
        for _ in 0..<8 {
            let result: Result<Ruleset?, KernelError>
            do throws(KernelError) { result = .success(try read(table)) } catch { result = .failure(error) }
            let after = try generation()
            // What changed meanwhile is read again, and so is a failure that comes of it.
            if after == before { return (try result.get(), after) }
            before = after
        }
        throw KernelError(errno: 4, doing: "read table inet \(table): it changed during each of 8 attempts")
    }

    package func counters(table: String) throws(KernelError) -> [CounterName: CounterValue] {
        try requireName(table, of: "table")
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETOBJ, flags: UInt16(NLM_F_DUMP))
        try writer.put(UInt16(NFTA_OBJ_TABLE.rawValue), string: table)
        writer.put(UInt16(NFTA_OBJ_TYPE.rawValue), UInt32(NFT_OBJECT_COUNTER))
        writer.end()
        var values: [CounterName: CounterValue] = [:]
        try socket.dump(writer.bytes, doing: "list the counters of \(table)", restart: { values = [:] }) { message in
            let attributes = message.attributes(after: 4)
            guard message.isTables(NFT_MSG_NEWOBJ), attributes.first(NFTA_OBJ_TABLE)?.string == table,
                attributes.first(NFTA_OBJ_TYPE)?.uint32 == UInt32(NFT_OBJECT_COUNTER),
                let name = attributes.first(NFTA_OBJ_NAME)?.string, let data = attributes.first(NFTA_OBJ_DATA)?.nested
            else { return }
            values[CounterName(name)] = CounterValue(
                packets: data.first(NFTA_COUNTER_PACKETS)?.uint64 ?? 0,
                bytes: data.first(NFTA_COUNTER_BYTES)?.uint64 ?? 0)
        }
        return values
    }

    private func read(_ table: String) throws(KernelError) -> Ruleset? {
        var reader = ExpressionReader()
        guard var ruleset = try readOutline(of: table, &reader) else { return nil }
        for (chain, rules) in try readRules(of: Array(ruleset.chains.keys), table: table, &reader) {
            ruleset.chains[chain]?.rules = rules
        }
        for set in ruleset.sets.values where set.elements.isEmpty && !set.expires {
            ruleset.sets[set.name]?.elements = try readElements(of: set, table: table, &reader) ?? [Self.unreadable]
        }
        return ruleset
    }

    package func outline(of table: String) throws(KernelError) -> Ruleset? {
        try requireName(table, of: "table")
        var reader = ExpressionReader()
        return try readOutline(of: table, &reader)
    }

    private func readOutline(of table: String, _ reader: inout ExpressionReader) throws(KernelError) -> Ruleset? {
        guard let isDormant = try readIsDormant(table) else { return nil }
        var ruleset = Ruleset(table: table)
        ruleset.isDormant = isDormant
        ruleset.chains = try readChains(of: table, &reader)
        for set in try readSets(of: table) { ruleset.sets[set.name] = set }
        ruleset.counters = try readCounters(of: table, &reader)
        for timeout in try readTimeouts(of: table) { ruleset.timeouts[timeout.name] = timeout }
        return ruleset
    }

    package func rules(of chain: ChainName, table: String) throws(KernelError) -> [Rule] {
        var reader = ExpressionReader()
        return try readRules(of: [chain], table: table, &reader)[chain] ?? []
    }

    package func elements(of set: NamedSet, table: String) throws(KernelError) -> [SetElement]? {
        var reader = ExpressionReader()
        return try readElements(of: set, table: table, &reader)
    }

    private static let unreadable = SetElement(.device("not ours: elements that cannot be read"))

    private func readCounters(
        of table: String, _ reader: inout ExpressionReader
    ) throws(KernelError) -> Set<CounterName> {
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETOBJ, flags: UInt16(NLM_F_DUMP))
        try writer.put(UInt16(NFTA_OBJ_TABLE.rawValue), string: table)
        writer.put(UInt16(NFTA_OBJ_TYPE.rawValue), UInt32(NFT_OBJECT_COUNTER))
        writer.end()
        var names: Set<CounterName> = []
        try socket.dump(writer.bytes, doing: "list the counters of \(table)", restart: { names = [] }) { message in
            let span = unsafe message.bytes.span.bytes
            let attributes = Self.attributes(of: message)
            guard message.isTables(NFT_MSG_NEWOBJ), span.string(NFTA_OBJ_TABLE, in: attributes) == table,
                span.uint32(NFTA_OBJ_TYPE, in: attributes) == UInt32(NFT_OBJECT_COUNTER),
                let name = reader.names.name(span.attribute(NFTA_OBJ_NAME, in: attributes), in: span)
            else { return }
            names.insert(CounterName(name))
        }
        return names
    }

    /// Behind `struct nlmsghdr` and `struct nfgenmsg`.
    static func attributes(of message: NetlinkMessage) -> Range<Int> {
        NetlinkMessage.headerLength + 4..<max(message.bytes.count, NetlinkMessage.headerLength + 4)
    }

    private func readTimeouts(of table: String) throws(KernelError) -> [TimeoutObject] {
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETOBJ, flags: UInt16(NLM_F_DUMP))
        try writer.put(UInt16(NFTA_OBJ_TABLE.rawValue), string: table)
        writer.put(UInt16(NFTA_OBJ_TYPE.rawValue), UInt32(NFT_OBJECT_CT_TIMEOUT))
        writer.end()
        var timeouts: [TimeoutObject] = []
        try socket.dump(writer.bytes, doing: "list the time-outs of \(table)", restart: { timeouts = [] }) { message in
            let attributes = message.attributes(after: 4)
            guard message.isTables(NFT_MSG_NEWOBJ), attributes.first(NFTA_OBJ_TABLE)?.string == table,
                attributes.first(NFTA_OBJ_TYPE)?.uint32 == UInt32(NFT_OBJECT_CT_TIMEOUT),
                let timeout = TimeoutObject(reading: attributes)
            else { return }
            timeouts.append(timeout)
        }
        return timeouts
    }

    /// Whether the table is switched off (`NFT_TABLE_F_DORMANT`); nil where there is none.
    private func readIsDormant(_ table: String) throws(KernelError) -> Bool? {
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETTABLE, flags: UInt16(NLM_F_ACK))
        try writer.put(UInt16(NFTA_TABLE_NAME.rawValue), string: table)
        writer.end()
        var isDormant: Bool?
        do throws(KernelError) {
            try socket.request(writer.bytes, doing: "read table inet \(table)") { message in
                guard message.isTables(NFT_MSG_NEWTABLE) else { return }
                isDormant = (message.attributes(after: 4).first(NFTA_TABLE_FLAGS)?.uint32 ?? 0) & 1 != 0
            }
        } catch {
            guard error.errno == 2 else { throw error }
        }
        return isDormant
    }

    private func readChains(
        of table: String, _ reader: inout ExpressionReader
    ) throws(KernelError) -> [ChainName: Chain] {
        let request = Self.request(NFT_MSG_GETCHAIN, flags: UInt16(NLM_F_DUMP))
        var chains: [ChainName: Chain] = [:]
        try socket.dump(request, doing: "list the chains of \(table)", restart: { chains = [:] }) { message in
            let span = unsafe message.bytes.span.bytes
            let attributes = Self.attributes(of: message)
            guard message.isTables(NFT_MSG_NEWCHAIN), span.string(NFTA_CHAIN_TABLE, in: attributes) == table,
                let text = reader.names.name(span.attribute(NFTA_CHAIN_NAME, in: attributes), in: span)
            else { return }
            let name = ChainName(text)
            let isBase = span.attribute(NFTA_CHAIN_HOOK, in: attributes) != nil
            chains[name] = isBase ? Chain(reading: message.attributes(after: 4)) : Chain(name, rules: [])
        }
        return chains
    }

    /// The rules of chains, a request for each: in a dump of a table's rules the kernel goes over all that it has given
    /// already each time it fills a buffer, which is quadratic. One request at a time: until the second buffer of an
    /// answer, which says no more than that it is over, has been read, the kernel refuses the next (`EBUSY`).
    func readRules(
        of chains: [ChainName], table: String, _ reader: inout ExpressionReader
    ) throws(KernelError) -> [ChainName: [Rule]] {
        var rules: [ChainName: [Rule]] = [:]
        rules.reserveCapacity(chains.count)
        for name in chains {
            let request = try Self.request(forRulesOf: name, table: table)
            var found: [Rule] = []
            try socket.dump(request, doing: "list the rules of \(name)", restart: { found = [] }) { message in
                let span = unsafe message.bytes.span.bytes
                let attributes = Self.attributes(of: message)
                // Kernels that pass over the filter list everything.
                guard message.isTables(NFT_MSG_NEWRULE), span.string(NFTA_RULE_TABLE, in: attributes) == table,
                    span.string(NFTA_RULE_CHAIN, in: attributes) == name.description
                else { return }
                found.append(reader.rule(in: span, attributes))
            }
            rules[name] = found
        }
        return rules
    }

    static func request(forRulesOf chain: ChainName, table: String) throws(KernelError) -> [UInt8] {
        try requireName(chain.description, of: "chain")
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETRULE, flags: UInt16(NLM_F_DUMP))
        try writer.put(UInt16(NFTA_RULE_TABLE.rawValue), string: table)
        try writer.put(UInt16(NFTA_RULE_CHAIN.rawValue), string: chain.description)
        writer.end()
        return writer.bytes
    }

    private func readSets(of table: String) throws(KernelError) -> [NamedSet] {
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETSET, flags: UInt16(NLM_F_DUMP))
        try writer.put(UInt16(NFTA_SET_TABLE.rawValue), string: table)
        writer.end()
        var sets: [NamedSet] = []
        try socket.dump(writer.bytes, doing: "list the sets of \(table)", restart: { sets = [] }) { message in
            let attributes = message.attributes(after: 4)
            guard message.isTables(NFT_MSG_NEWSET), attributes.first(NFTA_SET_TABLE)?.string == table,
                let set = NamedSet(reading: attributes)
            else { return }
            sets.append(set)
        }
        return sets
    }

    /// Nil where there is an element that none of ours can be.
    ///
    /// A large hash that was filled a moment ago is still being moved to a larger table (`rhashtable`), without a new
    /// number of the ruleset. A dump meanwhile, which goes on by how many elements it has given, gives some twice and
    /// leaves out as many; so it is done again.
    func readElements(
        of set: NamedSet, table: String, _ reader: inout ExpressionReader
    ) throws(KernelError) -> [SetElement]? {
        for _ in 0..<16 {
            guard let elements = try readElementsOnce(of: set, table: table, &reader) else { return nil }
            if set.isInterval || elements.count < 2 { return elements }
            if !(1..<elements.count).contains(where: { elements[$0].key == elements[$0 - 1].key }) { return elements }
        }
        throw KernelError(
            errno: 4, doing: "read set \(set.name): the kernel moved its elements during each of 16 attempts")
    }

    private func readElementsOnce(
        of set: NamedSet, table: String, _ reader: inout ExpressionReader
    ) throws(KernelError) -> [SetElement]? {
        try requireName(set.name.description, of: "set")
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETSETELEM, flags: UInt16(NLM_F_DUMP))
        try writer.put(UInt16(NFTA_SET_ELEM_LIST_TABLE.rawValue), string: table)
        try writer.put(UInt16(NFTA_SET_ELEM_LIST_SET.rawValue), string: set.name.description)
        writer.end()
        var elements: [KernelElement] = []
        var isReadable = true
        try socket.dump(
            writer.bytes, doing: "list the elements of \(set.name)",
            restart: {
                elements = []
                isReadable = true
            }
        ) { message in
            let span = unsafe message.bytes.span.bytes
            guard message.isTables(NFT_MSG_NEWSETELEM),
                let list = span.attribute(NFTA_SET_ELEM_LIST_ELEMENTS, in: Self.attributes(of: message))
            else { return }
            var offset = list.lowerBound
            while let item = span.nextAttribute(at: &offset, before: list.upperBound) {
                if let element = reader.element(in: span, item.payload, of: set.values) {
                    elements.append(element)
                } else {
                    isReadable = false
                }
            }
        }
        return isReadable ? set.elements(restoredFrom: elements) : nil
    }
}
