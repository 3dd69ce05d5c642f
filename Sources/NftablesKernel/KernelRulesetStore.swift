internal import CNftnl
internal import CShims
package import Netlink
package import NetworkTypes
package import Nftables

/// Whose tables are, where the kernel lets one say so.
package enum TableOwnership: Sendable {
    /// Anybody's: other programs may change and delete them.
    case shared
    /// The socket's (`NFT_TABLE_F_OWNER`): others are refused, `nft flush ruleset` passes over them; they outlive the
    /// socket (`NFT_TABLE_F_PERSIST`, about Linux 6.9).
    case ownedAndPersistent

    var flags: UInt32 {
        switch self {
        case .shared: 0
        case .ownedAndPersistent: 2 | 4
        }
    }
}

/// The kernel's tables of family inet, over one netlink socket. Used from one executor.
package final class KernelRulesetStore: RulesetStore {
    var socket: NetlinkSocket
    private let ownership: TableOwnership
    /// `sk_sndbuf`, as getsockopt gives it: a batch may measure 32 bytes less.
    private var sendBuffer: Int
    private let sendBufferLimit: Int
    /// Taken for what is free, for tests.
    var freeMemory: Int?

    /// A part of `commitInParts`: the kernel holds its lock over all rulesets while it takes one in, some 50 ms of so
    /// much. Parts of 1, 2, 4 and 8 MiB took 1.8 s each for 20,000 chains and 50,000 rules, so that larger ones gain
    /// nothing.
    package var partLimit = 1 << 20
    private static let margin = 64

    /// - Parameter ownership: of tables that are made from now on.
    /// - Parameter sendBufferLimit: never ask for more bytes than these.
    package convenience init(
        ownership: TableOwnership = .shared, sendBufferLimit: Int = .max
    ) throws(KernelError) {
        try self.init(over: NetlinkSocket(.netfilter), ownership: ownership, sendBufferLimit: sendBufferLimit)
    }

    /// Over a socket that was kept, with the ownership that goes with it.
    package init(
        over socket: consuming NetlinkSocket, ownership: TableOwnership = .shared, sendBufferLimit: Int = .max
    ) throws(KernelError) {
        self.sendBufferLimit = sendBufferLimit
        self.socket = socket
        self.ownership = ownership
        sendBuffer = 0
        try self.socket.setExtendedAcknowledgement(true)
        // Answers are refusals only, at most one a message; dumps come in pieces of up to 32 KiB.
        enlargeSendBuffer(to: 1 << 18)
    }

    /// The socket's descriptor, for the service manager's store; the socket keeps it.
    package var descriptor: Int32 { socket.descriptor }

    /// Of the socket: events of our own commits carry it.
    package var portID: UInt32 { socket.portID }

    package func generation() throws(KernelError) -> Generation {
        var found: UInt32?
        let request = Self.request(NFT_MSG_GETGEN, flags: UInt16(NLM_F_ACK))
        try socket.request(request, doing: "read the number of the ruleset") { message in
            if message.isTables(NFT_MSG_NEWGEN) { found = message.attributes(after: 4).first(NFTA_GEN_ID)?.uint32 }
        }
        guard let found else { throw KernelError(errno: 71, doing: "read the number of the ruleset") }
        return Generation(found)
    }

    package func commit(
        _ operations: [Operation], table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation {
        if operations.isEmpty { return try numbered(expected) }
        var encoder = try BatchEncoder(
            operations, table: table, tableFlags: ownership.flags, try handles(for: operations, table: table),
            firstSequence: socket.nextSequence())
        return try transact(encoder.batch(), table: table, expecting: expected)
    }

    package func commitInParts(
        _ operations: [Operation], table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation {
        if operations.isEmpty { return try numbered(expected) }
        enlargeSendBuffer(to: partLimit + Self.margin)
        let limit = min(partLimit, sendBuffer - Self.margin)
        let parts = EncodedParts(
            of: operations, table: table, tableFlags: ownership.flags, try handles(for: operations, table: table),
            firstSequence: socket.nextSequence(), limit: limit)
        defer { parts.abandon() }
        var current = expected
        var reached: Generation?
        while let part = try parts.next() {
            reached = try transact(part, table: table, expecting: current)
            if expected != nil { current = reached }
        }
        return try numbered(reached ?? expected)
    }

    /// Some ten milliseconds; where the kernel cannot be asked (`nohz_full`, one processor) a time in which a packet
    /// passes but for the rarest of delays.
    package func waitForPackets() {
        if nsgd_wait_for_packets() != 0 { nsgd_sleep(Self.timeToPass) }
    }

    /// In nanoseconds.
    private static let timeToPass: UInt64 = 150_000_000

    package func check(_ change: Change) throws(KernelError) {
        let table = change.result.table
        // What is granted for the largest of them is the limit.
        let swap = try SealedBatch.encoding(change.swap, table: table).bytes.count
        enlargeSendBuffer(to: swap + Self.margin)
        let isLarge = change.kernelMemory.bytes > Self.unquestioned
        let limits = KernelLimits(
            transactionBytes: sendBuffer - Self.margin, memory: isLarge ? freeMemory ?? FreeMemory.bytes : nil)
        try limits.check(change) { (operations: [Operation]) throws(KernelError) in
            operations == change.swap
                ? swap : try SealedBatch.encoding(operations, table: table).bytes.count
        }
    }

    /// A change that takes no more of the kernel's memory than this is not compared with what is free.
    private static let unquestioned = 4 << 20

    /// Sends the batch; where nothing was expected, expects what is there, so that an answer that was lost can be told.
    private func transact(
        _ sealed: SealedBatch, table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation {
        var sealed = sealed
        var attempt = 0
        while true {
            attempt += 1
            let current = try numbered(expected)
            sealed.expect(current)
            do throws(KernelError) {
                return try send(sealed, table: table, expecting: current)
            } catch {
                // Somebody else came first.
                guard error.errno == Self.restart, expected == nil, attempt < 16 else { throw error }
            }
        }
    }

    private func numbered(_ expected: Generation?) throws(KernelError) -> Generation {
        if let expected { expected } else { try generation() }
    }

    /// `ERESTART`
    private static let restart: Int32 = 85

    /// The kernel carries a batch out before `sendmsg` returns and answers with its refusals alone, so that nothing to
    /// read means done.
    private func send(
        _ sealed: SealedBatch, table: String, expecting expected: Generation
    ) throws(KernelError) -> Generation {
        let count = sealed.operations.count
        let doing = "commit \(count) operation\(count == 1 ? "" : "s") to table inet \(table)"
        enlargeSendBuffer(to: sealed.bytes.count + Self.margin)
        do throws(KernelError) {
            try socket.send(sealed.bytes)
        } catch {
            throw KernelError(errno: error.errno, doing: "\(doing) (\(sealed.bytes.count) bytes)")
        }
        let (refusal, wasOverrun): (KernelError?, Bool)
        let reached: Generation
        do throws(KernelError) {
            (refusal, wasOverrun) = try firstRefusal(of: sealed, doing: doing)
            reached = try generation()
        } catch {
            // Whatever it was, the batch has been carried out or refused.
            throw Self.lostAnswer(doing, "its answer could not be read: \(error)")
        }
        if let refusal { throw refusal }
        // Answers are refusals, so that one of them is among what was lost, though another commit may have moved the
        // number.
        if wasOverrun { throw Self.lostAnswer(doing, "its answer was lost") }
        if reached == expected {
            // Operations that find nothing to do leave the number as it is.
            if sealed.operations.allSatisfy(\.mayBeVoid) { return expected }
            throw KernelError(
                errno: 71, doing: doing, explanation: "its answer was lost, and the ruleset is as it was")
        }
        // Not what was read: a commit of somebody else after ours must be seen by whoever expects this one.
        return expected.next
    }

    /// `ENOBUFS`: what the kernel holds has to be read.
    private static func lostAnswer(_ doing: String, _ explanation: String) -> KernelError {
        KernelError(errno: 105, doing: doing, explanation: explanation)
    }

    private func firstRefusal(
        of sealed: SealedBatch, doing: String
    ) throws(KernelError) -> (refusal: KernelError?, wasOverrun: Bool) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        var refusal: KernelError?
        var wasOverrun = false
        while true {
            switch try socket.receive(into: &buffer, waiting: .none) {
            case .nothing: return (refusal, wasOverrun)
            case .overrun, .truncated: wasOverrun = true
            case .datagram(let count):
                for message in NetlinkMessages(buffer[..<count]) where refusal == nil && message.isError {
                    guard sealed.holds(message.sequence), let answer = message.answer else { continue }
                    let operation = sealed.operation(at: answer.sequence)
                    refusal = answer.error(doing: doing, object: operation.map { "\($0)" })
                }
            }
        }
    }

    private func enlargeSendBuffer(to size: Int) {
        guard sendBuffer < size else { return }
        sendBuffer = socket.enlargeBuffers(send: min(size, sendBufferLimit), receive: 1 << 20).send
    }

    /// Of all chains whose rules the operations name by an index.
    private func handles(for operations: [Operation], table: String) throws(KernelError) -> RuleHandles {
        var handles = RuleHandles()
        for operation in operations {
            guard let chain = operation.editedChain, handles.needs(chain, for: operation) else { continue }
            handles.begin(chain, with: try ruleHandles(of: chain, table: table))
        }
        return handles
    }

    private func ruleHandles(of chain: ChainName, table: String) throws(KernelError) -> [UInt64] {
        let request = try Self.request(forRulesOf: chain, table: table)
        var handles: [UInt64] = []
        try socket.dump(request, doing: "list the rules of \(chain)", restart: { handles = [] }) { message in
            let attributes = message.attributes(after: 4)
            // Kernels that pass over the filter list everything.
            guard message.isTables(NFT_MSG_NEWRULE), attributes.first(NFTA_RULE_TABLE)?.string == table,
                attributes.first(NFTA_RULE_CHAIN)?.string == chain.description,
                let handle = attributes.first(NFTA_RULE_HANDLE)?.uint64
            else { return }
            handles.append(handle)
        }
        return handles
    }

    /// A request without attributes.
    static func request(_ type: nf_tables_msg_types, flags: UInt16) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.beginTables(type, flags: flags)
        writer.end()
        return writer.bytes
    }
}

extension Generation {
    /// The number after one commit; the kernel leaves out 0.
    fileprivate var next: Generation { Generation(number == .max ? 1 : number + 1) }
}

extension Operation {
    /// Whether it can find nothing to do and yet succeed.
    fileprivate var mayBeVoid: Bool {
        switch self {
        case .flushChain: true
        // What is there already stays as it is; in sets whose elements expire nobody looks first.
        case .addElements(let elements, let set): elements.isEmpty || set.expires
        case .deleteElements(let elements, _): elements.isEmpty
        default: false
        }
    }
}

extension NetlinkWriter {
    /// Opens a message of family inet.
    mutating func beginTables(_ type: nf_tables_msg_types, flags: UInt16) {
        begin(type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(type.rawValue), flags: flags)
        putNetfilterHeader(family: UInt8(NFPROTO_INET))
    }
}

extension NetlinkMessage {
    func isTables(_ type: nf_tables_msg_types) -> Bool {
        subsystem == UInt8(NFNL_SUBSYS_NFTABLES) && operation == UInt8(type.rawValue)
    }
}
