/// What became of the rules of security groups and managers (`compile --stats`).
package struct CompilerStatistics: Hashable, Sendable {
    /// Lists as they are used: one direction of a group, at one level, on one kind of interface.
    package var lists = 0
    /// Rules, in all these, that no packet comes to: one before covers them, or nothing that comes to the list matches.
    /// They are in no chain.
    package var unreachableRules = 0
    /// The most comparisons one after the other that a packet may meet in a chain of a list.
    package var longestRow = 0
    /// Chains of more comparisons than are good that were not divided: no level of chains was left for it, or it would
    /// have taken too many rules (E2).
    package var undividedChains = 0
    /// Pairs of a class of addresses and services that are looked up (`CellTable`).
    package var cells = 0

    package init() {}

    mutating func add(_ other: CompilerStatistics) {
        lists += other.lists
        unreachableRules += other.unreachableRules
        longestRow = max(longestRow, other.longestRow)
        undividedChains += other.undividedChains
        cells += other.cells
    }
}
