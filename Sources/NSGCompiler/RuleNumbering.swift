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
    package let owner: ResourceID
    package let name: String
    package let priority: Int
    package let direction: Direction
    package let kind: RuleKind
    package let access: Access
    private let meaning: Meaning

    private enum Meaning: Sendable {
        case version(RuleVersion)
        /// Yet to be worked out: most ask for the rule's name alone.
        case rule(SecurityRule)
    }

    /// Tells the versions of a rule apart.
    package var version: RuleVersion {
        switch meaning {
        case .version(let version): version
        case .rule(let rule): RuleVersion(of: rule)
        }
    }

    package init(
        owner: ResourceID, direction: Direction, name: String, kind: RuleKind, priority: Int, access: Access,
        version: RuleVersion
    ) {
        self.owner = owner
        self.direction = direction
        self.name = name
        self.kind = kind
        self.priority = priority
        self.access = access
        meaning = .version(version)
    }

    package init(_ rule: SecurityRule) {
        owner = rule.owner
        direction = rule.direction
        name = rule.name
        kind = rule.kind
        priority = rule.priority.value
        access = rule.access
        meaning = .rule(rule)
    }

    /// The same, without holding on to the rule.
    fileprivate var settled: NumberedRule {
        NumberedRule(
            owner: owner, direction: direction, name: name, kind: kind, priority: priority, access: access,
            version: version)
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.priority == right.priority && left.direction == right.direction && left.kind == right.kind
            && left.access == right.access && left.name == right.name && left.owner == right.owner
            && left.version == right.version
    }

    /// Rules of one version, name and group are few.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(version)
        hasher.combine(name)
        hasher.combine(owner)
    }
}

/// Which number is which version of which rule. A number stays given while a live flow may carry it; the whole is on
/// disk before a policy that uses it is swapped in.
package struct RuleNumbering: Sendable {
    package private(set) var rules: [RuleNumber: NumberedRule] = [:]
    private var numbers = NumbersByHash()
    private var next = RuleNumber.range.lowerBound
    /// Numbers that live flows carry and nobody knows the rules of.
    private var reserved: Set<RuleNumber> = []
    /// Of the lists of the policy that numbers were given to last, rule by rule.
    private var ofLists: [PolicyList.Version: NumberedList] = [:]

    private struct NumberedList: Sendable {
        var list: PolicyList
        var numbers: [RuleNumber]
    }

    /// What has yet to be written down: numbers given, and numbers taken back.
    package private(set) var unsaved: Set<RuleNumber> = []

    package init() {}

    /// Keeps numbers from being given while flows carry them whose rules are not known.
    package mutating func reserve(_ numbers: Set<RuleNumber>) {
        reserved.formUnion(numbers.filter { rules[$0] == nil })
    }

    /// From what was stored; a number given twice keeps its first rule.
    package init(stored: some Sequence<(RuleNumber, NumberedRule)>) {
        for (number, rule) in stored where RuleNumber.range.contains(number.value) && rules[number] == nil {
            let rule = rule.settled
            rules[number] = rule
            numbers.add(number, of: rule)
            next = max(next, number.value == RuleNumber.range.upperBound ? 1 : number.value + 1)
        }
    }

    package func number(of rule: SecurityRule) -> RuleNumber? { number(of: NumberedRule(rule).settled) }

    private func number(of rule: NumberedRule) -> RuleNumber? { numbers.first(of: rule) { rules[$0] == rule } }

    /// Those of a list's rules, in their order; nil if `assign(to:)` was last called with a book that does not have the
    /// list. O(1).
    package func numbers(of list: PolicyList) -> [RuleNumber]? { ofLists[list.version]?.numbers }

    // MARK: Giving and taking back

    /// Gives a number to every rule of the lists of bound interfaces that has none. False if the numbers do not
    /// suffice. O(rules of lists that the last policy did not have); few of these have to be worked out where a list of
    /// the last policy is much like them.
    package mutating func assign(to book: PolicyBook) -> Bool {
        for rule in book.platformRules {
            guard assign(to: rule) != nil else { return false }
        }
        var given: [PolicyList.Version: NumberedList] = [:]
        for list in book.boundLists {
            if let known = ofLists[list.version] {
                given[list.version] = known
                continue
            }
            guard let numbers = assign(to: list) else { return false }
            given[list.version] = NumberedList(list: list, numbers: numbers)
        }
        ofLists = given
        return true
    }

    /// Rules that are as they were in the last policy keep their numbers, and are not worked out again.
    private mutating func assign(to list: PolicyList) -> [RuleNumber]? {
        let earlier = ofLists.values.first { $0.list.key == list.key }
        let (before, known) = (earlier?.list.rules ?? [], earlier?.numbers ?? [])
        var next = 0
        var numbers: [RuleNumber] = []
        numbers.reserveCapacity(list.rules.count)
        for rule in list.rules.map(\.rule) {
            while next < before.count, before[next].rule.priority < rule.priority { next += 1 }
            if next < before.count, before[next].rule.isEqualButForRemarks(to: rule) {
                numbers.append(known[next])
                continue
            }
            guard let number = assign(to: rule) else { return nil }
            numbers.append(number)
        }
        return numbers
    }

    private mutating func assign(to rule: SecurityRule) -> RuleNumber? {
        let numbered = NumberedRule(rule).settled
        if let number = number(of: numbered) { return number }
        guard let number = firstFree() else { return nil }
        rules[number] = numbered
        numbers.add(number, of: numbered)
        unsaved.insert(number)
        return number
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

    /// Takes back the numbers of rules that `book` no longer has, unless a live flow carries them. O(rules).
    package mutating func retire(absentFrom book: PolicyBook, carriedBy live: Set<RuleNumber>) {
        let present = numbers(in: book)
        guard rules.count > present.count else { return }
        for number in rules.keys where !present.contains(number) && !live.contains(number) {
            rules[number] = nil
            unsaved.insert(number)
        }
        numbers = NumbersByHash()
        for (number, rule) in rules { numbers.add(number, of: rule) }
        // A list of a policy that was refused may have had some of them.
        let lists = Set(book.boundLists.map(\.version))
        ofLists = ofLists.filter { lists.contains($0.key) }
    }

    /// Whether so many numbers are those of rules that `book` no longer has that it is worth finding out which of them
    /// flows carry.
    package func isWorthRetiring(absentFrom book: PolicyBook) -> Bool {
        let present = book.boundLists.reduce(book.platformRules.count) { $0 + $1.rules.count }
        return rules.count > 2 * present + Self.spared
    }

    private static let spared = 1_000

    private func numbers(in book: PolicyBook) -> Set<RuleNumber> {
        var present = Set(book.platformRules.compactMap { number(of: $0) })
        for list in book.boundLists {
            present.formUnion(numbers(of: list) ?? list.rules.compactMap { number(of: $0.rule) })
        }
        return present
    }

    /// Once everything has been written down.
    package mutating func noteSaved() { unsaved = [] }
}

/// Numbers by the hashes of their rules: a few bytes for each, beside the rules themselves.
private struct NumbersByHash: Sendable {
    private var first: [Int: RuleNumber] = [:]
    /// By a number, another one whose rule has the same hash.
    private var others: [RuleNumber: RuleNumber] = [:]

    mutating func add(_ number: RuleNumber, of rule: NumberedRule) {
        if let other = first.updateValue(number, forKey: rule.hashValue) { others[number] = other }
    }

    /// The first number that is a rule's.
    /// - Parameter isOf: asked of all with the rule's hash.
    func first(of rule: NumberedRule, _ isOf: (RuleNumber) -> Bool) -> RuleNumber? {
        var number = first[rule.hashValue]
        while let candidate = number, !isOf(candidate) { number = others[candidate] }
        return number
    }
}

/// By which number is which rule.
extension RuleNumbering: Hashable {
    package static func == (left: Self, right: Self) -> Bool { left.rules == right.rules }
    package func hash(into hasher: inout Hasher) { hasher.combine(rules) }
}

extension PolicyBook {
    /// Those that can decide about a packet on this host beside the lists.
    fileprivate var platformRules: [SecurityRule] { estate.bindings.isEmpty ? [] : PlatformRules.all }

    var hasAdminLists: Bool { boundLists.contains { $0.key.level == .admin } }

    /// The lists of interfaces that are bound on this host, each once, in the order of the bindings.
    package var boundLists: [PolicyList] {
        var seen: Set<PolicyList.Key> = []
        return estate.bindings.flatMap { binding in
            Direction.allCases.flatMap { lists(of: binding.networkInterface, $0) }
        }.filter { seen.insert($0.key).inserted }
    }
}
