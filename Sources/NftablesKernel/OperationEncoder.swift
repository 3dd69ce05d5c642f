internal import CNftnl
internal import NetworkTypes
internal import Nftables

/// Turns operations into messages of `enum nf_tables_msg_types`, written straight into a batch. libnftnl encodes what
/// is rare; of chains, rules, counters and elements there are tens of thousands, which are written by hand.
struct OperationEncoder: ~Copyable {
    let table: String
    /// `NFT_TABLE_F_…` of a table that is made.
    private let tableFlags: UInt32
    private var scratch = MessageScratch()
    /// Of the rule at hand.
    var expressions: [Expression] = []
    private var lastSetID: UInt32 = 0
    /// Sets that the operations so far have made and not yet filled.
    private var emptySets: Set<SetName> = []

    init(table: String, tableFlags: UInt32) throws(KernelError) {
        try requireName(table, of: "table")
        self.table = table
        self.tableFlags = tableFlags
    }

    /// Writes one message, or for elements as many as they need.
    /// - Parameters:
    ///   - index: of the operation in the batch's list.
    ///   - handle: of the rule at the index that the operation names; nil where there is none, behind the last.
    ///   - afterEach: called after each message; it may send the batch and begin another.
    mutating func encode(
        _ operation: Operation, _ index: Int, at handle: UInt64? = nil, into batch: inout Batch,
        afterEach: (inout Batch) throws(KernelError) -> Void = { (_: inout Batch) in }
    ) throws(KernelError) {
        switch operation {
        case .addElements(let elements, let set):
            if let wrong = elements.first(where: { ($0.timeout ?? 0 > 0) != set.expires }) {
                throw set.refusal(of: wrong, "a time-out where elements expire, and only there")
            }
            let isFirst = emptySets.remove(set.name) != nil
            let header = ElementHeader(type: NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE, index: index, table: table)
            return try set.write(elements, isFirst: isFirst, header, into: &batch, afterEach: afterEach)
        case .deleteElements(let elements, let set):
            let header = ElementHeader(type: NFT_MSG_DELSETELEM, flags: 0, index: index, table: table)
            return try set.write(elements, isFirst: false, header, into: &batch, afterEach: afterEach)
        case .addRule, .insertRule, .replaceRule, .deleteRule, .flushChain:
            try encodeRule(operation, index, at: handle, into: &batch)
        default:
            try encodeObject(operation, index, into: &batch)
        }
        try afterEach(&batch)
    }

    /// Makes, and refuses what is there already.
    private static let create = NLM_F_CREATE | NLM_F_EXCL

    private mutating func encodeObject(
        _ operation: Operation, _ index: Int, into batch: inout Batch
    ) throws(KernelError) {
        switch operation {
        case .addChain(let name, nil):
            try put(name, NFT_MSG_NEWCHAIN, flags: Self.create, index, into: &batch)
        case .deleteChain(let name):
            try put(name, NFT_MSG_DELCHAIN, flags: 0, index, into: &batch)
        case .addCounter(let name):
            try put(name, NFT_MSG_NEWOBJ, flags: Self.create, index, into: &batch)
        case .deleteCounter(let name):
            try put(name, NFT_MSG_DELOBJ, flags: 0, index, into: &batch)
        default:
            batch.append(try rareMessage(for: operation), of: index)
        }
    }

    private func put(
        _ name: ChainName, _ type: nf_tables_msg_types, flags: Int32, _ index: Int, into batch: inout Batch
    ) throws(KernelError) {
        try requireName(name.description, of: "chain")
        batch.begin(type, flags: flags, of: index)
        batch.put(NFTA_CHAIN_TABLE.rawValue, string: table)
        batch.put(NFTA_CHAIN_NAME.rawValue, string: name.description)
        batch.end()
    }

    private func put(
        _ name: CounterName, _ type: nf_tables_msg_types, flags: Int32, _ index: Int, into batch: inout Batch
    ) throws(KernelError) {
        try requireName(name.description, of: "counter")
        batch.begin(type, flags: flags, of: index)
        batch.put(NFTA_OBJ_TABLE.rawValue, string: table)
        batch.put(NFTA_OBJ_NAME.rawValue, string: name.description)
        batch.put(NFTA_OBJ_TYPE.rawValue, UInt32(NFT_OBJECT_COUNTER))
        batch.endNested(batch.beginNested(NFTA_OBJ_DATA.rawValue))
        batch.end()
    }

    private mutating func rareMessage(for operation: Operation) throws(KernelError) -> [UInt8] {
        switch operation {
        case .addTable:
            let object = try TableObject.named(table, flags: tableFlags == 0 ? nil : tableFlags)
            return scratch.message(NFT_MSG_NEWTABLE, flags: Self.create, object)
        case .wakeTable:
            let object = try TableObject.named(table, flags: tableFlags)
            return scratch.message(NFT_MSG_NEWTABLE, flags: NLM_F_CREATE, object)
        case .deleteTable:
            let object = try TableObject.named(table)
            return scratch.message(NFT_MSG_DELTABLE, object)
        case .addChain(let name, let attachpoint):
            let object = try ChainObject.named(name, table: table, at: attachpoint)
            return scratch.message(NFT_MSG_NEWCHAIN, flags: Self.create, object)
        case .addSet(let set):
            lastSetID += 1
            emptySets.insert(set.name)
            var object = try SetObject.named(set.name, table: table)
            try object.define(as: set, id: lastSetID)
            return scratch.message(NFT_MSG_NEWSET, flags: Self.create, object)
        case .deleteSet(let name):
            let object = try SetObject.named(name, table: table)
            return scratch.message(NFT_MSG_DELSET, object)
        case .addTimeout(let timeout): return try timeout.message(table: table)
        case .deleteTimeout(let name): return try name.deletion(table: table)
        case .deleteChain, .addCounter, .deleteCounter, .addElements, .deleteElements, .addRule, .insertRule,
            .replaceRule, .deleteRule, .flushChain:
            preconditionFailure("written by hand")
        }
    }
}
