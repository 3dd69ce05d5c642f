import Netlink
import NetworkTypes
import Nftables
import TestSupport
import Testing

@testable import NftablesKernel

/// The store against the kernel; `nft` is the witness.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own"))
struct NftablesKernelTests {
    /// All that makes `ruleset` out of nothing, in one list.
    static func building(_ ruleset: Ruleset) -> [Nftables.Operation] {
        let chains = ruleset.chains.values.sorted { $0.name < $1.name }
        let sets = ruleset.sets.values.sorted { $0.name < $1.name }
        return [.addTable] + ruleset.counters.sorted().map { .addCounter($0) }
            + ruleset.timeouts.values.sorted { $0.name < $1.name }.map { .addTimeout($0) }
            + chains.map { .addChain($0.name, $0.attachpoint) } + sets.map { .addSet($0) }
            + sets.filter { !$0.elements.isEmpty }.map { .addElements($0.elements, to: $0) }
            + chains.flatMap { chain in chain.rules.map { .addRule($0, to: chain.name) } }
    }

    static func difference(_ left: Ruleset?, _ right: Ruleset) -> String {
        guard let left else { return "no table" }
        let pairs = right.chains.map { ($0.value.rules, left.chains[$0.key]?.rules ?? []) }
        for (wanted, found) in pairs where wanted != found {
            for (wanted, found) in zip(wanted, found) where wanted != found { return "\(wanted) became \(found)" }
            return "\(wanted.count) rules became \(found.count)"
        }
        for (name, set) in right.sets where left.sets[name] != set {
            return "\(set) became \(left.sets[name].map { "\($0)" } ?? "nothing")"
        }
        for (name, timeout) in right.timeouts where left.timeouts[name] != timeout {
            return "\(timeout) became \(left.timeouts[name].map { "\($0)" } ?? "nothing")"
        }
        return "\(left.chains.keys.sorted()), \(left.sets.keys.sorted()), \(left.counters.sorted())"
    }

    private static func remove(_ table: String, from store: KernelRulesetStore) {
        _ = try? store.commit([.deleteTable], table: table, expecting: nil)
    }

    @Test("a dump gives back the ruleset that was sent")
    func roundTrip() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("round", from: store) }
        let absent = try store.dump(table: "round")
        #expect(absent.ruleset == nil)
        let ruleset = SampleRulesets.everything(table: "round")
        let reached = try store.commit(Self.building(ruleset), table: "round", expecting: absent.generation)
        let dumped = try store.dump(table: "round")
        #expect(dumped.ruleset == ruleset, "\(Self.difference(dumped.ruleset, ruleset))")
        #expect(dumped.generation == reached)
        #expect(reached.number == absent.generation.number + 1)
    }

    @Test("a full prefix keeps its length")
    func fullPrefix() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("full", from: store) }
        let rules = [
            Rule(.match(.family, .equals(2)), .match(.ipSource, .prefix(0x0a00_0001, length: 32)), .verdict(.accept)),
            Rule(.match(.family, .equals(10)), .match(.ip6Source, .prefix(1, length: 128)), .verdict(.accept)),
        ]
        let ruleset = Ruleset(table: "full", chains: [Chain(ChainName("c"), rules: rules)])
        _ = try store.commit(Self.building(ruleset), table: "full", expecting: nil)
        #expect(try store.dump(table: "full").ruleset == ruleset)
    }

    /// Chains, sets and maps by their first line, white space made equal; declarations in one line left out.
    static func blocks(of text: String) -> [String: String] {
        var blocks: [String: String] = [:]
        var header: String?
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
            if line.hasPrefix("\t"), !line.hasPrefix("\t\t"), line.hasSuffix("{") {
                header = words
                if !words.hasPrefix("counter") { blocks[words] = "" }
            } else if line == "\t}" {
                header = nil
            } else if let header, let text = blocks[header] {
                let isContinued = text.hasSuffix(",") || text.isEmpty
                blocks[header] = text + (text.isEmpty ? "" : isContinued ? " " : "\n") + words
            }
        }
        return blocks
    }

    /// Lines of a block, with elements in an order that does not depend on hashes.
    static func ordered(_ block: String) -> [String] {
        block.split(separator: "\n").map { line in
            guard line.hasPrefix("elements = { ") else { return String(line) }
            return line.dropFirst(13).dropLast(2).split(separator: ", ").sorted().joined(separator: ", ")
        }
    }

    @Test("nft lists our table as the ruleset prints itself")
    func printsAsNft() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("print", from: store) }
        let ruleset = SampleRulesets.everything(table: "print")
        _ = try store.commit(Self.building(ruleset), table: "print", expecting: nil)
        let listed = Self.blocks(of: try run(["nft", "list", "table", "inet", "print"]))
        let printed = Self.blocks(of: ruleset.description)
        #expect(Set(listed.keys) == Set(printed.keys))
        for (header, text) in printed {
            // nft lists what hashes hold in an order of its own.
            let theirs = Self.ordered(listed[header] ?? "")
            let ours = Self.ordered(text)
            #expect(theirs.count == ours.count, "\(header)")
            for (left, right) in zip(theirs, ours) { #expect(left == right, "\(header)") }
        }
    }

    @Test("nft loads our print, and makes the same expressions and ruleset of it")
    func nftLoadsOurPrint() throws {
        let store = try KernelRulesetStore()
        defer {
            Self.remove("ours", from: store)
            Self.remove("nfts", from: store)
        }
        var ruleset = SampleRulesets.everything(table: "ours")
        _ = try store.commit(Self.building(ruleset), table: "ours", expecting: nil)
        ruleset.table = "nfts"
        try run(["nft", "-f", "-"], input: ruleset.description)
        let dumped = try store.dump(table: "nfts").ruleset
        #expect(dumped == ruleset, "\(Self.difference(dumped, ruleset))")
        let debug = { (table: String) in
            try run(["nft", "--debug=netlink", "list", "table", "inet", table]).replacing("inet \(table)", with: "inet")
                .split(separator: "\n").filter { $0.hasPrefix("  [") }
        }
        let theirs = try debug("nfts")
        let ours = try debug("ours")
        #expect(Set(theirs) == Set(ours), "\(Set(theirs).symmetricDifference(ours))")
    }

    @Test("one wrong operation of a hundred is named, with the kernel's reason, and nothing is done")
    func namesTheWrongOperation() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("wrong", from: store) }
        let chain = ChainName("c")
        _ = try store.commit([.addTable, .addChain(chain, nil)], table: "wrong", expecting: nil)
        let before = try store.dump(table: "wrong")
        var operations = (0..<100).map { index in
            Nftables.Operation.addRule(
                Rule(.match(.originalPackets, .isGreater(than: UInt128(index))), .verdict(.accept)), to: chain)
        }
        let cases: [(Nftables.Operation, Int32)] = [
            (.addRule(Rule(.verdict(.goto(ChainName("nowhere")))), to: chain), 2),
            (.addRule(Rule(.lookup(.ipSource, in: SetName("none"))), to: chain), 2), (.addTable, 17),
            (.addChain(chain, nil), 17), (.deleteChain(ChainName("nowhere")), 2), (.deleteSet(SetName("none")), 2),
            (.deleteCounter(CounterName("none")), 2), (.flushChain(ChainName("nowhere")), 2),
        ]
        for (wrong, errno) in cases {
            operations[57] = wrong
            let error = #expect(throws: KernelError.self) {
                _ = try store.commit(operations, table: "wrong", expecting: before.generation)
            }
            #expect(
                error?.errno == errno && error?.object == wrong.description, "\(wrong): \(String(describing: error))")
            #expect(error?.operation.contains("100 operations") == true)
            let after = try store.dump(table: "wrong")
            #expect(after == before)
        }
    }

    @Test("an expected generation that has passed is ERESTART, and nothing is done")
    func generationMismatch() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("stale", from: store) }
        let first = try store.commit([.addTable], table: "stale", expecting: nil)
        try run(["nft", "add", "table", "ip", "other"])
        let error = #expect(throws: KernelError.self) {
            _ = try store.commit([.addChain(ChainName("c"), nil)], table: "stale", expecting: first)
        }
        #expect(error?.errno == 85 && error?.object == nil, "\(String(describing: error))")
        #expect(try store.dump(table: "stale").ruleset?.chains == [:])
        _ = try store.commit([.addChain(ChainName("c"), nil)], table: "stale", expecting: store.generation())
        try run(["nft", "delete", "table", "ip", "other"])
    }

    @Test("many rules in parts, where buffers cannot be forced", arguments: [1000, 10000])
    func manyRules(count: Int) throws {
        // What the kernel grants anybody: 212,992 bytes in force.
        let store = try KernelRulesetStore(sendBufferLimit: 106496)
        defer { Self.remove("many", from: store) }
        let chain = ChainName("c")
        let rules = (0..<count).map { index in
            Rule(
                .match(.family, .equals(2)), .match(.ipSource, .equals(UInt128(index))), .counter(CounterName("hits")),
                .setLabel(UInt128(index)), .verdict(.accept))
        }
        let ruleset = Ruleset(table: "many", chains: [Chain(chain, rules: rules)], counters: [CounterName("hits")])
        let start = try store.generation()
        let clock = ContinuousClock()
        var reached = start
        let committing = try clock.measure {
            reached = try store.commitInParts(Self.building(ruleset), table: "many", expecting: start)
        }
        var dumped: (ruleset: Ruleset?, generation: Generation) = (nil, start)
        let dumping = try clock.measure { dumped = try store.dump(table: "many") }
        print("\(count) rules: \(reached.number - start.number) transactions, \(committing); dump \(dumping)")
        #expect(reached.number - start.number > count / 1000)
        #expect(dumped.ruleset == ruleset && dumped.generation == reached)
        if count == 10000 {
            let error = #expect(throws: KernelError.self) {
                _ = try store.commit(Self.building(ruleset), table: "many2", expecting: nil)
            }
            #expect(error?.errno == 90, "\(String(describing: error))")
            #expect(try store.dump(table: "many2").ruleset == nil)
        }
    }

    @Test("a hash table is made with room for so many elements, says so, and takes no more")
    func room() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("room", from: store) }
        let elements = (0..<UInt128(301)).map { SetElement(.values($0...$0)) }
        var set = NamedSet(
            SetName("s"), keyType: .ipv4Address, isInterval: false, elements: Array(elements.dropLast()))
        set.capacity = 300
        let ruleset = Ruleset(table: "room", sets: [set])
        _ = try store.commit(Self.building(ruleset), table: "room", expecting: nil)
        #expect(try store.dump(table: "room").ruleset == ruleset)
        let error = #expect(throws: KernelError.self) {
            _ = try store.commit([.addElements([elements[300]], to: set)], table: "room", expecting: nil)
        }
        #expect(error?.errno == 23)
    }

    @Test("in parts, what is refused or cannot be encoded ends it there, by its name; the store goes on after it")
    func partsEnd() throws {
        let store = try KernelRulesetStore()
        store.partLimit = 1 << 16
        defer { Self.remove("parts", from: store) }
        let chains = (0..<8000).map { Operation.addChain(ChainName("chain-\($0)"), nil) }
        let twice = chains[0]
        let tooLong = Operation.addChain(ChainName(String(repeating: "x", count: 300)), nil)
        for (wrong, errno) in [(twice, 17), (tooLong, 36)] as [(Operation, Int32)] {
            Self.remove("parts", from: store)
            let error = #expect(throws: KernelError.self) {
                let operations = [.addTable] + chains[..<4000] + [wrong] + chains[4000...]
                _ = try store.commitInParts(operations, table: "parts", expecting: nil)
            }
            #expect(error?.errno == errno && error?.object == "\(wrong)", "\(String(describing: error))")
            let left = try #require(try store.dump(table: "parts").ruleset).chains.count
            #expect((1...4000).contains(left))
            let more = [Operation.addChain(ChainName("more"), nil)]
            _ = try store.commitInParts(more, table: "parts", expecting: store.generation())
            #expect(try store.dump(table: "parts").ruleset?.chains.count == left + 1)
        }
    }

    @Test(
        "a change that does not fit is refused before it is sent: a swap beyond the buffer, more than the free memory")
    func limits() throws {
        var policy = LargeRuleset()
        policy.interfaces = 1
        policy.rulesPerList = 400
        let store = try KernelRulesetStore(sendBufferLimit: 4096)
        let first = Change(from: nil, to: policy.ruleset)
        try store.check(first)
        var swap = Change(from: nil, to: policy.ruleset)
        swap.swap = (0..<400).map { _ in .replaceRule(at: 0, in: ChainName("c"), with: Rule(.verdict(.accept))) }
        let size = #expect(throws: KernelError.self) { try store.check(swap) }
        #expect(size?.errno == 90 && "\(String(describing: size))".contains("400 operations"))
        store.freeMemory = 1 << 20
        let memory = #expect(throws: KernelError.self) { try store.check(first) }
        #expect(memory?.errno == 12 && memory?.object?.hasPrefix("map ") == true, "\(String(describing: memory))")
    }

    @Test("a ruleset of the compiler's shape is read back as it was sent")
    func largeRuleset() throws {
        var policy = LargeRuleset()
        policy.interfaces = 2
        policy.rulesPerList = 100
        policy.arePaired = true
        let store = try KernelRulesetStore()
        defer { Self.remove("nsgd", from: store) }
        let change = Change(from: nil, to: policy.ruleset)
        var current = try store.commit(change.skeleton, table: "nsgd", expecting: nil)
        current = try store.commitInParts(change.build, table: "nsgd", expecting: current)
        current = try store.commit(change.swap, table: "nsgd", expecting: current)
        current = try store.commitInParts(change.sweep, table: "nsgd", expecting: current)
        let dumped = try store.dump(table: "nsgd")
        let isSame = dumped.ruleset == change.result
        #expect(isSame && dumped.generation == current)
    }

    @Test("70,000 elements: no attribute passes 64 KiB (PITFALL 17)", arguments: [true, false])
    func manyElements(isInterval: Bool) throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("big", from: store) }
        let elements = (0..<UInt128(70000)).map {
            SampleRulesets.values($0 * 4 + 1...($0 * 4 + (isInterval ? 2 : 1)), .goto(ChainName("leaf")))
        }
        let set = NamedSet(
            SetName("s"), keyType: .ipv6Address, isInterval: isInterval, values: .verdicts, elements: elements)
        let ruleset = Ruleset(table: "big", chains: [Chain(ChainName("leaf"), rules: [])], sets: [set])
        let clock = ContinuousClock()
        let committing = try clock.measure {
            _ = try store.commitInParts(Self.building(ruleset), table: "big", expecting: nil)
        }
        var dumped: Ruleset?
        let dumping = try clock.measure { dumped = try store.dump(table: "big").ruleset }
        print("70,000 elements: \(committing); dump \(dumping)")
        #expect(dumped == ruleset)
    }

    @Test("tables of others are neither read nor touched")
    func leavesOthersAlone() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("mine", from: store) }
        let foreign = """
            table inet other { set s { type ipv4_addr; elements = { 10.0.0.1 } }
            counter hits { packets 5 bytes 6 }
            chain c { type filter hook input priority 5; ip saddr @s counter accept; }
            }
            """
        try run(["nft", "-f", "-"], input: foreign)
        let before = try run(["nft", "list", "table", "inet", "other"])
        let ruleset = SampleRulesets.everything(table: "mine")
        _ = try store.commit(Self.building(ruleset), table: "mine", expecting: nil)
        #expect(try store.dump(table: "mine").ruleset == ruleset)
        #expect(Set(try store.counters(table: "mine").keys) == ruleset.counters)
        _ = try store.commit([.deleteTable], table: "mine", expecting: nil)
        #expect(try store.dump(table: "mine").ruleset == nil)
        #expect(try run(["nft", "list", "table", "inet", "other"]) == before)
        let values = try store.counters(table: "other")
        #expect(values == [CounterName("hits"): CounterValue(packets: 5, bytes: 6)])
        try run(["nft", "delete", "table", "inet", "other"])
    }

    @Test("skeleton, build, swap and sweep end in what was wanted (E1)")
    func carriesOutChanges() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("change", from: store) }
        func policy(_ version: Int) -> Ruleset {
            var ruleset = SampleRulesets.withPlainBaseChains(table: "change")
            let rules = ChainName("rules-\(version)")
            let counter = CounterName("hits-\(version)")
            let map = NamedSet(
                SetName("ports-\(version)"), keyType: .inetService, isInterval: true, values: .verdicts,
                elements: [SampleRulesets.values(0...65535, .goto(ChainName("leaf-\(version)")))])
            ruleset.chains[rules] = Chain(
                rules,
                rules: [
                    Rule(.match(.protocol, .equals(6)), .dispatch(.destinationPort, through: map.name)),
                    Rule(.counter(counter), .verdict(.drop)),
                ])
            ruleset.chains[ChainName("leaf-\(version)")] = Chain(
                ChainName("leaf-\(version)"), rules: [Rule(.verdict(.accept))])
            ruleset.chains[ChainName("to/nic-1")]?.rules = [Rule(.verdict(.goto(rules)), comment: "version \(version)")]
            ruleset.sets[map.name] = map
            ruleset.counters.insert(counter)
            return ruleset
        }
        for version in [1, 2, 2, 3] {
            let (inForce, start) = try store.dump(table: "change")
            let change = Change(from: inForce, to: policy(version))
            var current = start
            for part in [change.skeleton, change.build] {
                current = try store.commitInParts(part, table: "change", expecting: current)
            }
            for part in [change.swap, change.sweep] {
                current = try store.commit(part, table: "change", expecting: current)
            }
            let dumped = try store.dump(table: "change")
            #expect(dumped.ruleset == policy(version), "\(Self.difference(dumped.ruleset, policy(version)))")
            #expect(dumped.generation == current)
        }
        let error = #expect(throws: KernelError.self) {
            _ = try store.commit(
                [.replaceRule(at: 2, in: ChainName("rules-3"), with: Rule(.verdict(.drop)))], table: "change",
                expecting: nil)
        }
        #expect(error?.errno == 2 && error?.explanation?.contains("no rule there") == true)
    }

    @Test(
        "rules are inserted, replaced and deleted in place; the others keep their handles (E3)",
        arguments: UInt64(0)..<16)
    func editsRules(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let store = try KernelRulesetStore()
        let chain = ChainName("list.0")
        func ruleset(_ ports: [Int]) -> Ruleset {
            let rules = ports.map { Rule(.match(.protocol, .equals(UInt128($0))), .verdict(.drop)) }
            return Ruleset(
                table: "edits",
                chains: [
                    Chain(ChainName("to/list"), rules: [Rule(.verdict(.goto(chain)))]), Chain(chain, rules: rules),
                ])
        }
        func apply(_ wanted: Ruleset) throws {
            let (inForce, generation) = try store.dump(table: "edits")
            let change = Change(from: inForce, to: wanted)
            var current = try store.commitInParts(change.skeleton + change.build, table: "edits", expecting: generation)
            current = try store.commit(change.swap, table: "edits", expecting: current)
            let dumped = try store.dump(table: "edits").ruleset
            let isSame = dumped == wanted
            #expect(isSame, "seed \(seed): \(Self.difference(dumped, wanted))")
        }
        var ports = Array(1...40)
        try apply(ruleset(ports))
        for round in 0..<4 {
            for number in 0..<Int.random(in: 1...12, using: &random) {
                let index = ports.indices.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<3, using: &random) {
                case 0 where ports.count > 1: ports.remove(at: index)
                case 1: ports.insert(100 + round * 16 + number, at: index)
                default: ports[index] = 180 + round * 16 + number
                }
            }
            try apply(ruleset(ports))
        }
        _ = try store.commit([.deleteTable], table: "edits", expecting: nil)
    }

    @Test("a flood of refusals that overruns the receive buffer is still a refusal")
    func overrunOfAnswers() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("flood", from: store) }
        let chain = ChainName("c")
        let start = try store.commit([.addTable, .addChain(chain, nil)], table: "flood", expecting: nil)
        let wrong = Nftables.Operation.addRule(Rule(.verdict(.jump(ChainName("nowhere")))), to: chain)
        let error = #expect(throws: KernelError.self) {
            _ = try store.commit(Array(repeating: wrong, count: 3000), table: "flood", expecting: start)
        }
        #expect(error?.errno == 2 && error?.object == wrong.description, "\(String(describing: error))")
        let after = try store.dump(table: "flood")
        #expect(after.generation == start && after.ruleset?.chains[chain]?.rules == [])
        _ = try store.commit([.addRule(Rule(.verdict(.accept)), to: chain)], table: "flood", expecting: start)
    }

    @Test("what others put into our table is read without harm and equals nothing of ours")
    func strangersAreSeen() throws {
        let store = try KernelRulesetStore()
        defer { Self.remove("strange", from: store) }
        let wanted = Ruleset(
            table: "strange",
            chains: [Chain(ChainName("c"), rules: [Rule(.verdict(.accept))]), Chain(ChainName("d"), rules: [])],
            sets: [NamedSet(SetName("s"), keyType: .ipv4Address, isInterval: false, elements: [])])
        _ = try store.commit(Self.building(wanted), table: "strange", expecting: nil)
        let commands = [
            "add rule inet strange d limit rate 5/second accept", "add rule inet strange d ct mark set 7",
            "add rule inet strange d meta cpu 3 drop", "add rule inet strange d tcp flags syn counter",
            "add rule inet strange d ip saddr { 10.0.0.1, 10.0.0.2 } reject",
            "add rule inet strange d log level info", "add rule inet strange d meta mark 5",
            "add quota inet strange q { 5 bytes }",
            "add rule inet strange d ip saddr & 0.0.0.255 == 5", "add rule inet strange d reject",
            "add set inet strange t { type ipv4_addr . inet_service; flags timeout; }",
            "add set inet strange u { type mark; }",
            "add set inet strange w { type ipv4_addr . inet_service; flags interval; elements = { 1.2.3.4 . 5-6 }; }",
            "add set inet strange x { type ipv4_addr; flags timeout; timeout 5m; }",
            "add set inet strange y { type ipv4_addr . mark; elements = { 1.2.3.4 . 5 }; }",
            "add map inet strange z { type ifname . ipv4_addr : verdict; }",
            "add rule inet strange d iifname . ip saddr vmap @z",
            "add ct timeout inet strange l { protocol tcp; l3proto ip; policy = { established: 240 }; }",
            "add ct timeout inet strange m { protocol udp; policy = { replied: 240 }; }",
            "add map inet strange m { type ipv4_addr : ipv4_addr; }",
            "add element inet strange s { 10.0.0.7 }",
            "add chain inet strange n { type nat hook postrouting priority 100; }",
            "add chain inet strange p { type filter hook input priority 0; policy drop; }",
            "add chain inet strange i { type filter hook ingress device lo priority 0; }",
        ]
        var last = wanted
        for command in commands where !command.contains("quota") {
            try run(["sh", "-c", "nft \"\(command)\""])
            let found = try #require(try store.dump(table: "strange").ruleset)
            #expect(found != last, "\(command)")
            last = found
        }
        try run(["sh", "-c", "nft 'add quota inet strange q { 5 bytes }'; nft 'add counter inet strange k'"])
        let found = try #require(try store.dump(table: "strange").ruleset)
        #expect(found.counters == [CounterName("k")])
        #expect(found.chains[ChainName("d")]?.rules.allSatisfy { $0.steps.isEmpty } == true)
        #expect(found.sets.keys.allSatisfy { !$0.description.hasPrefix("__") })
        #expect(found.timeouts.count == 2 && found.timeouts.values.allSatisfy { $0.seconds == 0 })
        for name in ["u", "w", "x", "y"] {
            let text = "\(found.sets[SetName(name)]?.elements ?? [])"
            #expect(text.contains("not ours"), "\(name): \(text)")
        }
        try run(["sh", "-c", "nft 'add table inet strange { flags dormant; }'"])
        let dormant = try #require(try store.dump(table: "strange").ruleset)
        #expect(dormant != found)
    }

    @Test("an owned table is refused to others and outlives a flush (E6)")
    func ownedTable() throws {
        let store = try KernelRulesetStore(ownership: .ownedAndPersistent)
        do {
            _ = try store.commit([.addTable, .addChain(ChainName("c"), nil)], table: "owned", expecting: nil)
        } catch {
            try #require(error.errno == 95 || error.errno == 22, "\(error)")
            return  // before Linux 6.9
        }
        defer { Self.remove("owned", from: store) }
        let error = #expect(throws: CommandFailure.self) {
            try run(["nft", "add", "chain", "inet", "owned", "d"])
        }
        #expect(error?.output.contains("not permitted") == true)
        try run(["nft", "flush", "ruleset"])
        #expect(try store.dump(table: "owned").ruleset?.chains.count == 1)
    }
}

/// What needs no kernel.
@Suite struct NftablesEncodingTests {
    @Test("the messages of operations, below the operations as nft writes them")
    func describesMessages() throws {
        let rule = Rule(.match(.connectionLabel, .hasAny(1 << 120)), .verdict(.accept), comment: "decided")
        let text = try SealedBatch.encoding([.addTable, .addRule(rule, to: ChainName("c"))], table: "t").description
        // struct nlmsghdr, struct nfgenmsg, NFTA_TABLE_NAME
        #expect(text.contains("add table\n    1c000000000a0106010000000000000001000000" + "0600010074000000\n"))
        #expect(text.contains("add rule c ct label 120 accept comment \"decided\"\n    24010000060a010c02"))
        #expect(text.hasPrefix("begin\n    1c00000010000100") && text.hasSuffix("000000000000000a\n"))
    }

    @Test(
        "comparisons that a field does not have, and values that do not fit, are refused in words",
        arguments: [
            (.connectionState, .range(1...2), 95), (.ipSource, .hasAny(1), 95), (.destinationPort, .equals(65536), 34),
            (.ipSource, .prefix(0, length: 33), 95), (.destinationPort, .prefix(0, length: 8), 95),
            (.connectionLabel, .isGreater(than: 1), 95), (.inputDevice, .range(1...2), 95),
        ] as [(Field, Comparison, Int32)])
    func refuses(field: Field, comparison: Comparison, errno: Int32) {
        let error = #expect(throws: KernelError.self) {
            _ = try SealedBatch.encoding(
                [.addRule(Rule(.match(field, comparison)), to: ChainName("c"))], table: "t")
        }
        #expect(error?.errno == errno, "\(String(describing: error))")
    }

    @Test("intervals of any shape are restored from starts and ends", arguments: UInt64(0)..<64)
    func restoresIntervals(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let types: [KeyType] = [.inetProtocol, .inetService, .ipv4Address, .ipv6Address]
        let type = types[Int(seed % 4)]
        var bounds: Set<UInt128> = [type.largest]
        while bounds.count < 12 { bounds.insert(UInt128.random(in: 0...type.largest, using: &random)) }
        var next: UInt128 = 0
        var elements: [SetElement] = []
        for bound in bounds.sorted() where bound >= next {
            if Bool.random(using: &random) { elements.append(SetElement(.values(next...bound), verdict: .accept)) }
            next = bound &+ 1
        }
        let set = NamedSet(SetName("s"), keyType: type, isInterval: true, values: .verdicts, elements: elements)
        var sent: [KernelElement] = []
        for (index, element) in elements.enumerated() { try set.append(element, isFirst: index == 0, to: &sent) }
        #expect(set.elements(restoredFrom: sent.shuffled(using: &random)) == elements)
    }
}
