package import NSGModel
import NetworkTypes

/// The number under which conntrack labels carry a rule (E4): 20 bits, 0 for none.
package struct RuleNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt32
    package init(_ value: UInt32) { self.value = value }
    package static let range: ClosedRange<UInt32> = 1...0xf_ffff
    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
    package var description: String { "\(value)" }
}

/// One version of a rule, as flows remember it after the rule has changed or gone.
package struct NumberedRule: Hashable, Sendable {
    /// The security group, or the collection of an admin rule.
    package var owner: ResourceID
    package var direction: Direction
    package var name: String
    package var kind: RuleKind
    package var priority: Int
    package var access: Access
    /// Tells the versions of a rule apart: its meaning as text.
    package var version: String

    package init(
        owner: ResourceID, direction: Direction, name: String, kind: RuleKind, priority: Int, access: Access,
        version: String
    ) {
        self.owner = owner
        self.direction = direction
        self.name = name
        self.kind = kind
        self.priority = priority
        self.access = access
        self.version = version
    }

    package init(_ rule: SecurityRule) {
        self.init(
            owner: rule.owner, direction: rule.direction, name: rule.name, kind: rule.kind,
            priority: rule.priority.value, access: rule.access, version: Self.version(of: rule))
    }

    private static func version(of rule: SecurityRule) -> String {
        func text(_ scope: AddressScope) -> String {
            switch scope {
            case .any: "*"
            case .prefixes(let prefixes): prefixes.map(\.description).joined(separator: ",")
            case .serviceTag(let tag): tag.key
            case .applicationSecurityGroups(let groups):
                groups.map { $0.description.lowercased() }.joined(separator: ",")
            case .networkGroup(let group): group.description.lowercased()
            case .either(let scopes): scopes.map(text).joined(separator: ",")
            }
        }
        let ports = { (ranges: [PortRange]) in ranges.map(\.description).joined(separator: ",") }
        return [
            rule.protocol.rawValue, text(rule.source), ports(rule.sourcePorts), text(rule.destination),
            ports(rule.destinationPorts), rule.access.rawValue, rule.priority.description,
        ].joined(separator: " ")
    }
}

/// Which number is which version of which rule. A number stays given while a live flow may carry it; the whole is on
/// disk before a policy that uses it is swapped in.
package struct RuleNumbering: Hashable, Sendable {
    package private(set) var rules: [RuleNumber: NumberedRule] = [:]
    private var numbers: [NumberedRule: RuleNumber] = [:]
    private var next = RuleNumber.range.lowerBound
    /// Numbers that live flows carry and nobody knows the rules of.
    private var reserved: Set<RuleNumber> = []

    package init() {}

    /// Keeps numbers from being given while flows carry them whose rules are not known.
    package mutating func reserve(_ numbers: Set<RuleNumber>) {
        reserved.formUnion(numbers.filter { rules[$0] == nil })
    }

    /// From what was stored; a number given twice keeps its first rule.
    package init(stored: some Sequence<(RuleNumber, NumberedRule)>) {
        for (number, rule) in stored where RuleNumber.range.contains(number.value) && rules[number] == nil {
            rules[number] = rule
            numbers[rule] = number
            next = max(next, number.value == RuleNumber.range.upperBound ? 1 : number.value + 1)
        }
    }

    package func number(of rule: SecurityRule) -> RuleNumber? { numbers[NumberedRule(rule)] }

    /// Gives a number to every rule of the lists of bound interfaces that has none. False if the numbers do not
    /// suffice.
    package mutating func assign(to book: PolicyBook) -> Bool {
        for rule in book.boundRules where numbers[rule] == nil {
            guard let number = firstFree() else { return false }
            rules[number] = rule
            numbers[rule] = number
        }
        return true
    }

    /// Numbers go round, so that one is used again as late as possible.
    private mutating func firstFree() -> RuleNumber? {
        for _ in RuleNumber.range {
            let candidate = RuleNumber(next)
            next = next == RuleNumber.range.upperBound ? RuleNumber.range.lowerBound : next + 1
            if rules[candidate] == nil && !reserved.contains(candidate) { return candidate }
        }
        return nil
    }

    /// Takes back the numbers of rules that `book` no longer has, unless a live flow carries them.
    package mutating func retire(absentFrom book: PolicyBook, carriedBy live: Set<RuleNumber>) {
        let present = Set(book.boundRules)
        for (number, rule) in rules where !present.contains(rule) && !live.contains(number) {
            rules[number] = nil
            numbers[rule] = nil
        }
    }
}

extension PolicyBook {
    /// Every rule that can decide about a packet on this host; some more than once.
    fileprivate var boundRules: [NumberedRule] {
        (estate.bindings.isEmpty ? [] : PlatformRules.all).map(NumberedRule.init)
            + boundLists.flatMap { $0.rules.map { NumberedRule($0.rule) } }
    }

    var hasAdminLists: Bool { boundLists.contains { $0.key.level == .admin } }

    /// The lists of interfaces that are bound on this host, each once, in the order of the bindings.
    package var boundLists: [PolicyList] {
        var seen: Set<PolicyList.Key> = []
        return estate.bindings.flatMap { binding in
            Direction.allCases.flatMap { lists(of: binding.networkInterface, $0) }
        }.filter { seen.insert($0.key).inserted }
    }
}
