package import Nftables

/// A ruleset of the shape, and by default of the size, that the compiler makes of five interfaces with a thousand rules
/// in each of their two lists: 20,000 chains, 50,000 rules, 10,000 counters, 100,000 elements in 300 interval maps.
///
/// `interfaces` → one chain an interface → `to the root of each list` (fixed name) → maps from source addresses to
/// classes → a few rules on ports → one chain a rule, which counts and decides.
package struct LargeRuleset {
    package var interfaces = 5
    /// Of each of an interface's two lists.
    package var rulesPerList = 1000
    package var mapsPerList = 30
    /// Elements of the maps of a list together.
    package var elementsPerList = 10_000
    /// Whether the maps are held twice, under fixed names; else they are named after their content.
    package var arePaired = false
    /// Rules whose content is another than at first, by list and number.
    package var edited: Set<Edit> = []

    package struct Edit: Hashable, Sendable {
        package var list: Int
        package var rule: Int

        package init(list: Int, rule: Int) {
            self.list = list
            self.rule = rule
        }
    }

    package init() {}

    /// Of one interface with two paired maps a list.
    package init(rulesPerList: Int, elementsPerList: Int) {
        (interfaces, mapsPerList, arePaired) = (1, 2, true)
        (self.rulesPerList, self.elementsPerList) = (rulesPerList, elementsPerList)
    }

    package var ruleset: Ruleset {
        var ruleset = Ruleset(table: "nsgd")
        func add(_ chain: Chain) { ruleset.chains[chain.name] = chain }
        let (entry, judge) = (ChainName("to/forward"), ChainName("forward/judge"))
        add(
            Chain(
                ChainName("forward"), at: Attachpoint(hook: .forward, priority: 20),
                rules: [
                    Rule(.match(.connectionState, .hasAny(2)), .verdict(.accept)), Rule(.verdict(.jump(entry))),
                ]))
        add(Chain(entry, rules: [Rule(.verdict(.goto(judge)))]))
        let devices = SetName("interfaces/in")
        add(Chain(judge, rules: [Rule(.dispatch(.inputDevice, through: devices)), Rule(.verdict(.accept))]))
        var bound: [SetElement] = []
        for number in 0..<interfaces {
            let name = ChainName("interface/nic\(number)")
            let roots = ["subnet", "nic"].enumerated().map { level, word in
                addList(2 * number + level, named: "nsg/estate-\(number)/\(word)/inbound/v4", to: &ruleset)
            }
            add(Chain(name, rules: roots.map { Rule(.verdict(.jump($0))) } + [Rule(.verdict(.return))]))
            bound.append(SetElement(.device("nic\(number)"), verdict: .jump(name)))
        }
        ruleset.sets[devices] = NamedSet(
            devices, keyType: .deviceName, isInterval: false, values: .verdicts,
            elements: bound.sorted { $0.key < $1.key })
        return ruleset
    }

    /// - Returns: the list's root chain.
    private func addList(_ list: Int, named name: String, to ruleset: inout Ruleset) -> ChainName {
        let actions = (0..<rulesPerList).map { number in
            let version = edited.contains(Edit(list: list, rule: number)) ? 1 : 0
            let counter = CounterName("\(name)/rule-\(number)")
            ruleset.counters.insert(counter)
            let decision: [Step] =
                number % 3 == 0
                ? [.log(PacketCopy(group: 5, snapLength: 128, prefix: "nsgd d \(number + version) ")), .verdict(.drop)]
                : [.setLabel(UInt128(number + 1 + version << 16) << 20), .verdict(.return)]
            return Self.named("\(name)/rule-\(number)", [Rule([.counter(counter)] + decision)], in: &ruleset)
        }
        let classes = (0..<rulesPerList).map { number in
            let rules = (0..<4).map { index in
                let port = UInt128(1000 + 16 * ((number + 251 * index) % rulesPerList))
                return Rule(
                    .match(.protocol, .equals(6)), .match(.destinationPort, .range(port...port + 9)),
                    .verdict(.goto(actions[(number + 251 * index) % rulesPerList])))
            }
            return Self.named("\(name)/class-\(number)", rules, in: &ruleset)
        }
        let root = ChainName(name)
        let perMap = elementsPerList / max(mapsPerList, 1)
        var rules = [Rule(.match(.family, .isNot(2)), .verdict(.return))]
        for map in 0..<mapsPerList {
            let elements = (0..<perMap).map { index in
                let start = UInt128(map * perMap + index) * 256
                let target = classes[(map * 37 + index) % rulesPerList]
                return SetElement(.values(start...start + (index % 2 == 0 ? 255 : 127)), verdict: .goto(target))
            }
            let hash = arePaired ? "" : "." + Self.hash(elements)
            let set = NamedSet(
                SetName("\(name)/sources-\(map)\(hash)"), keyType: .ipv4Address, isInterval: true,
                values: .verdicts, isPaired: arePaired, elements: elements)
            ruleset.sets[set.name] = set
            rules.append(Rule(.dispatch(.ipSource, through: set.name)))
        }
        ruleset.chains[root] = Chain(root, rules: rules + [Rule(.verdict(.drop))])
        return root
    }

    /// A chain named after its content.
    private static func named(_ base: String, _ rules: [Rule], in ruleset: inout Ruleset) -> ChainName {
        let name = ChainName("\(base).\(hash(rules))")
        ruleset.chains[name] = Chain(name, rules: rules)
        return name
    }

    private static func hash(_ content: some Hashable) -> String {
        // Steady within a process, which is as long as these names live.
        String(UInt64(truncatingIfNeeded: content.hashValue), radix: 16)
    }
}
