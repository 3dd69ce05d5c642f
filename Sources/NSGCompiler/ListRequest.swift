import NSGModel
import NetworkTypes
import Nftables

/// One use of a list, with all that its chains depend on.
struct ListRequest: Sendable {
    let list: PolicyList
    let use: ListUse
    var inputs: Inputs

    struct Inputs: Equatable, Sendable {
        var version: PolicyList.Version
        /// Of the rules, in their order.
        var numbers: [RuleNumber]
        var options: CompilerOptions
        var levels: Int
        /// That packets may have which come to the list: those of the interfaces that use it. Nil for any.
        var destinations: AddressSet?
        /// Where Allow leads to; nil to return to the interface's chain, which asks the next list.
        var next: ChainName?
    }
}
