package import NetworkTypes

/// Number of the kernel's ruleset (`NFTA_GEN_ID`): it grows with every commit of anybody.
package struct Generation: Hashable, Sendable, CustomStringConvertible {
    package let number: UInt32
    package init(_ number: UInt32) { self.number = number }
    package var description: String { "\(number)" }
}

/// What can hold a table: the kernel, or a stand-in that refuses what the kernel refuses.
package protocol RulesetStore: AnyObject {
    /// The table as it stands, nil where there is none, and the generation it was read at.
    func dump(table: String) throws(KernelError) -> (ruleset: Ruleset?, generation: Generation)

    /// The table without the rules of its chains and the elements of its sets; nil where there is none. A set that none
    /// of ours can be has an element that says so.
    func outline(of table: String) throws(KernelError) -> Ruleset?

    /// The number that the ruleset has now.
    func generation() throws(KernelError) -> Generation

    /// The rules of one chain; none where there is no such chain.
    func rules(of chain: ChainName, table: String) throws(KernelError) -> [Rule]

    /// The elements of one set, of the kind it is said to be; nil where some are none that such a set of ours can hold.
    func elements(of set: NamedSet, table: String) throws(KernelError) -> [SetElement]?

    /// Refuses a change that does not fit, by its size, before anything of it is sent: with the number, the limit, and
    /// the object as far as there is one.
    func check(_ change: Change) throws(KernelError)

    /// One transaction: all of it or nothing. `EMSGSIZE` where it does not fit the socket's buffer.
    /// - Parameter expected: refuse with `ERESTART` if the ruleset has changed since.
    /// - Returns: the generation after the commit.
    func commit(
        _ operations: [Operation], table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation

    /// Any number of transactions, in order, each as large as the buffer allows. A failure leaves a beginning of them
    /// done.
    func commitInParts(
        _ operations: [Operation], table: String, expecting expected: Generation?
    ) throws(KernelError) -> Generation

    /// Returns when no packet is on its way through the rules any more that was when this was called.
    func waitForPackets()

    /// Packets and bytes of every named counter.
    func counters(table: String) throws(KernelError) -> [CounterName: CounterValue]
}

package struct CounterValue: Hashable, Sendable {
    package var packets: UInt64
    package var bytes: UInt64

    package init(packets: UInt64, bytes: UInt64) {
        self.packets = packets
        self.bytes = bytes
    }
}
