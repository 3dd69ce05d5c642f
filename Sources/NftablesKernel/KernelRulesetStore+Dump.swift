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
        guard let isDormant = try readIsDormant(table) else { return nil }
        var ruleset = Ruleset(table: table)
        ruleset.isDormant = isDormant
        for chain in try readChains(of: table) { ruleset.chains[chain.name] = chain }
        for (chain, rule) in try readRules(of: table) { ruleset.chains[chain]?.rules.append(rule) }
        for var set in try readSets(of: table) {
            if set.elements.isEmpty, !set.expires {
                let elements = try readElements(of: set, table: table)
                set.elements = elements ?? [SetElement(.device("not ours: elements that cannot be read"))]
            }
            ruleset.sets[set.name] = set
        }
        ruleset.counters = Set(try counters(table: table).keys)
        for timeout in try readTimeouts(of: table) { ruleset.timeouts[timeout.name] = timeout }
        return ruleset
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

    private func readChains(of table: String) throws(KernelError) -> [Chain] {
        let request = Self.request(NFT_MSG_GETCHAIN, flags: UInt16(NLM_F_DUMP))
        var chains: [Chain] = []
        try socket.dump(request, doing: "list the chains of \(table)", restart: { chains = [] }) { message in
            let attributes = message.attributes(after: 4)
            guard message.isTables(NFT_MSG_NEWCHAIN), attributes.first(NFTA_CHAIN_TABLE)?.string == table,
                let chain = Chain(reading: attributes)
            else { return }
            chains.append(chain)
        }
        return chains
    }

    private func readRules(of table: String) throws(KernelError) -> [(ChainName, Rule)] {
        var writer = NetlinkWriter()
        writer.beginTables(NFT_MSG_GETRULE, flags: UInt16(NLM_F_DUMP))
        try writer.put(UInt16(NFTA_RULE_TABLE.rawValue), string: table)
        writer.end()
        var rules: [(ChainName, Rule)] = []
        try socket.dump(writer.bytes, doing: "list the rules of \(table)", restart: { rules = [] }) { message in
            let attributes = message.attributes(after: 4)
            guard message.isTables(NFT_MSG_NEWRULE), attributes.first(NFTA_RULE_TABLE)?.string == table,
                let chain = attributes.first(NFTA_RULE_CHAIN)?.string
            else { return }
            rules.append((ChainName(chain), Rule(reading: attributes)))
        }
        return rules
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

    private func readElements(of set: NamedSet, table: String) throws(KernelError) -> [SetElement]? {
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
            guard message.isTables(NFT_MSG_NEWSETELEM) else { return }
            guard let list = message.attributes(after: 4).first(NFTA_SET_ELEM_LIST_ELEMENTS)?.nested else { return }
            for item in list {
                if let element = KernelElement(reading: item.nested, inMap: set.isVerdictMap) {
                    elements.append(element)
                } else {
                    isReadable = false
                }
            }
        }
        return isReadable ? set.elements(restoredFrom: elements) : nil
    }
}
