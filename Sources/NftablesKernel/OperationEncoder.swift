internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// Turns operations into messages of `enum nf_tables_msg_types`.
struct OperationEncoder: ~Copyable {
    private let table: String
    /// `NFT_TABLE_F_…` of a table that is made.
    private let tableFlags: UInt32
    private var scratch = MessageScratch()
    private var lastSetID: UInt32 = 0
    /// Sets that the operations so far have made and not yet filled.
    private var emptySets: Set<SetName> = []

    init(table: String, tableFlags: UInt32) throws(KernelError) {
        try requireName(table, of: "table")
        self.table = table
        self.tableFlags = tableFlags
    }

    /// One message, or for elements as many as they need.
    /// - Parameter handle: of the rule at the index that the operation names; nil where there is none, behind the last.
    mutating func messages(for operation: Operation, at handle: UInt64? = nil) throws(KernelError) -> [[UInt8]] {
        // Makes, and refuses what is there already.
        let create = NLM_F_CREATE | NLM_F_EXCL
        switch operation {
        case .addTable:
            let object = try TableObject.named(table, flags: tableFlags == 0 ? nil : tableFlags)
            return [scratch.message(NFT_MSG_NEWTABLE, flags: create, object)]
        case .wakeTable:
            let object = try TableObject.named(table, flags: tableFlags)
            return [scratch.message(NFT_MSG_NEWTABLE, flags: NLM_F_CREATE, object)]
        case .deleteTable:
            let object = try TableObject.named(table)
            return [scratch.message(NFT_MSG_DELTABLE, object)]
        case .addChain(let name, let attachpoint):
            let object = try ChainObject.named(name, table: table, at: attachpoint)
            return [scratch.message(NFT_MSG_NEWCHAIN, flags: create, object)]
        case .deleteChain(let name):
            let object = try ChainObject.named(name, table: table)
            return [scratch.message(NFT_MSG_DELCHAIN, object)]
        case .addCounter(let name):
            let object = try CounterObject(named: name, table: table)
            return [scratch.message(NFT_MSG_NEWOBJ, flags: create, object)]
        case .deleteCounter(let name):
            let object = try CounterObject(named: name, table: table)
            return [scratch.message(NFT_MSG_DELOBJ, object)]
        case .addSet(let set):
            lastSetID += 1
            emptySets.insert(set.name)
            var object = try SetObject.named(set.name, table: table)
            try object.define(as: set, id: lastSetID)
            return [scratch.message(NFT_MSG_NEWSET, flags: create, object)]
        case .deleteSet(let name):
            let object = try SetObject.named(name, table: table)
            return [scratch.message(NFT_MSG_DELSET, object)]
        case .addElements(let elements, let set):
            if let wrong = elements.first(where: { ($0.timeout ?? 0 > 0) != set.expires }) {
                throw set.refusal(of: wrong, "a time-out where elements expire, and only there")
            }
            let isFirst = emptySets.remove(set.name) != nil
            return try messages(NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE, for: elements, of: set, isFirst: isFirst)
        case .deleteElements(let elements, let set):
            return try messages(NFT_MSG_DELSETELEM, flags: 0, for: elements, of: set, isFirst: false)
        case .addTimeout(let timeout):
            return [try timeout.message(table: table)]
        case .deleteTimeout(let name):
            return [try name.deletion(table: table)]
        case .addRule(let rule, let chain):
            let object = try RuleObject.encoding(rule, table: table, chain: chain)
            let flags = NLM_F_CREATE | NLM_F_APPEND
            return [scratch.message(NFT_MSG_NEWRULE, flags: flags, object)]
        case .insertRule(let rule, _, let chain):
            // Without NLM_F_APPEND a rule goes before the one it is placed by.
            let object = try RuleObject.encoding(rule, table: table, chain: chain, place: handle.map { .before($0) })
            return [scratch.message(NFT_MSG_NEWRULE, flags: NLM_F_CREATE | (handle == nil ? NLM_F_APPEND : 0), object)]
        case .replaceRule(_, let chain, let rule):
            let object = try RuleObject.encoding(rule, table: table, chain: chain, place: .of(handle ?? 0))
            return [scratch.message(NFT_MSG_NEWRULE, flags: NLM_F_REPLACE, object)]
        case .deleteRule(_, let chain):
            let object = try RuleObject.encoding(Rule(), table: table, chain: chain, place: .of(handle ?? 0))
            return [scratch.message(NFT_MSG_DELRULE, object)]
        case .flushChain(let name):
            // A deletion without a handle is of all rules.
            let object = try RuleObject.encoding(Rule(), table: table, chain: name)
            return [scratch.message(NFT_MSG_DELRULE, object)]
        }
    }

    /// libnftnl's objects are large; they are made for a few hundred elements at a time. That many of a plain set fit
    /// one message, so that the start of an interval and its end are never in two transactions.
    private mutating func messages(
        _ type: nf_tables_msg_types, flags: Int32, for elements: [SetElement], of set: NamedSet, isFirst: Bool
    ) throws(KernelError) -> [[UInt8]] {
        let chunk = 512
        var messages: [[UInt8]] = []
        for start in stride(from: 0, to: elements.count, by: chunk) {
            let slice = elements[start..<min(start + chunk, elements.count)]
            var object = try SetObject.named(set.name, table: table)
            try object.append(try set.kernelElements(for: slice, isFirst: isFirst && start == 0))
            messages += try object.elementMessages(type, flags: flags, in: &scratch)
        }
        return messages
    }
}
