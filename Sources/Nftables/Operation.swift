/// One message of a transaction. Prints as the command nft would be given.
package enum Operation: Hashable, Sendable {
    case addTable
    /// Takes `flags dormant` from the table.
    case wakeTable
    /// The chain without its rules.
    case addChain(ChainName, Attachpoint?)
    case addCounter(CounterName)
    case addTimeout(TimeoutObject)
    /// The set without its elements.
    case addSet(NamedSet)
    case addElements([SetElement], to: NamedSet)
    /// By key; each must be there.
    case deleteElements([SetElement], from: NamedSet)
    /// Behind the chain's last rule.
    case addRule(Rule, to: ChainName)
    /// Before the rule that stands at `index`, which stands behind it from then on. Indexes, here and below, are those
    /// of the chain as the operations before this one leave it.
    case insertRule(Rule, at: Int, in: ChainName)
    case replaceRule(at: Int, in: ChainName, with: Rule)
    case deleteRule(at: Int, in: ChainName)
    case flushChain(ChainName)
    case deleteChain(ChainName)
    case deleteSet(SetName)
    case deleteCounter(CounterName)
    case deleteTimeout(TimeoutName)
    case deleteTable
}

extension Operation: CustomStringConvertible {
    package var description: String {
        switch self {
        case .addTable: "add table"
        case .wakeTable: "add table { flags 0 }"
        case .addChain(let name, let point): "add chain \(name)" + (point.map { " { \($0) }" } ?? "")
        case .addCounter(let name): "add counter \(name)"
        case .addSet(let set): "add \(set.kindText) \(set.name)"
        case .addTimeout(let object): "add ct timeout \(object.name)"
        case .addElements(let elements, let set): "add element \(set.name) \(set.summary(of: elements))"
        case .deleteElements(let elements, let set): "delete element \(set.name) \(set.summary(of: elements))"
        case .addRule(let rule, let chain): "add rule \(chain) \(rule)"
        case .insertRule(let rule, let index, let chain): "insert rule \(chain) index \(index) \(rule)"
        case .replaceRule(let index, let chain, let rule): "replace rule \(chain) index \(index) \(rule)"
        case .deleteRule(let index, let chain): "delete rule \(chain) index \(index)"
        case .flushChain(let name): "flush chain \(name)"
        case .deleteChain(let name): "delete chain \(name)"
        case .deleteSet(let name): "delete set \(name)"
        case .deleteCounter(let name): "delete counter \(name)"
        case .deleteTimeout(let name): "delete ct timeout \(name)"
        case .deleteTable: "delete table"
        }
    }
}

extension NamedSet {
    fileprivate func summary(of elements: [SetElement]) -> String {
        "{ \(elements.prefix(4).map(text(of:)).joined(separator: ", "))"
            + (elements.count > 4 ? ", … \(elements.count) in all }" : " }")
    }
}
