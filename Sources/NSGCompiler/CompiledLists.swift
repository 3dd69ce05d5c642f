import Dispatch
import NSGModel
import NetworkTypes
import Nftables
import Synchronization

/// What each use of a policy list was compiled to, so that the next policy compiles only lists that changed.
package struct CompiledLists: Sendable {
    private var lists: [ListUse: CompiledList] = [:]
    private var names: ChainNames?
    /// All that is no list: what packets enter by, and the ways to the lists.
    private(set) var frame: RulesetPart?

    package init() {}

    /// Compiles the uses that are not known from an earlier policy, two or more at a time.
    init(of requests: [ListRequest], names: ChainNames, after earlier: CompiledLists?) {
        self.names = names
        // A list's chains and sets hold names of what its rules refer to.
        let known =
            earlier.flatMap { earlier in earlier.names.map(names.keepsNames) == true ? earlier.lists : nil } ?? [:]
        var missing: [(request: ListRequest, earlier: CompiledList?)] = []
        for request in requests {
            if let list = known[request.use], list.inputs == request.inputs {
                lists[request.use] = list
            } else {
                missing.append((request, known[request.use]))
            }
        }
        for list in Self.compiled(missing, names) { lists[list.use] = list }
    }

    private static func compiled(
        _ requests: [(request: ListRequest, earlier: CompiledList?)], _ names: ChainNames
    ) -> [CompiledList] {
        if requests.count == 1 { return [CompiledList(requests[0].request, names, after: requests[0].earlier)] }
        let done = Mutex<[CompiledList]>([])
        DispatchQueue.concurrentPerform(iterations: requests.count) { index in
            let list = CompiledList(requests[index].request, names, after: requests[index].earlier)
            done.withLock { $0.append(list) }
        }
        return done.withLock { $0 }
    }

    /// Where the frame is as it was, it is the same part.
    mutating func setFrame(_ content: Ruleset, after earlier: CompiledLists?) {
        frame = earlier?.frame.flatMap { $0.content == content ? $0 : nil } ?? RulesetPart(content)
    }

    var parts: [RulesetPart] { [frame].compactMap(\.self) + lists.values.map(\.part) }

    var statistics: CompilerStatistics {
        var sum = CompilerStatistics()
        for list in lists.values { sum.add(list.statistics) }
        return sum
    }
}

private struct CompiledList: Sendable {
    let use: ListUse
    let inputs: ListRequest.Inputs
    let part: RulesetPart
    let statistics: CompilerStatistics
    private let actions: RuleActions.Kept
    private let trees: KeptTrees

    /// - Parameter earlier: of the same use, with the same names.
    init(_ request: ListRequest, _ names: ChainNames, after earlier: CompiledList?) {
        use = request.use
        inputs = request.inputs
        var builder = RulesetBuilder(table: FixedNames.table, salt: request.inputs.options.salt)
        let isSameKind =
            earlier?.inputs.options == request.inputs.options && earlier?.inputs.next == request.inputs.next
        let actions = RuleActions(
            of: request.list, request.use, names, request.inputs,
            after: isSameKind ? earlier?.actions ?? .init() : .init())
        let hasSameTrees =
            isSameKind && earlier?.inputs.levels == request.inputs.levels
            && earlier?.inputs.destinations == request.inputs.destinations
        trees = ListCompiler(
            list: request.list, use: request.use, names: names, division: request.inputs.options.division,
            actions: actions, levels: request.inputs.levels, destinations: request.inputs.destinations,
            earlier: hasSameTrees ? earlier.map { (trees: $0.trees, content: $0.part.content) } : nil
        ).compile(into: &builder)
        self.actions = actions.kept
        part = RulesetPart(builder.ruleset, after: earlier?.part)
        statistics = builder.statistics
    }
}
