import ConntrackKernel
import Dispatch
import FlowLog
import NSGCompiler
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import NftablesKernel
import Synchronization
import SystemServices

/// Owns the kernel's table: brings the documents into force, keeps them there, and takes them out when told to.
actor Enforcer {
    nonisolated let executor = QueueExecutor(label: "enforcement")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    let options: DaemonOptions
    let state: StateFolder
    let journal: Journal
    var enforcement: Enforcement
    let cut = ConnectionCut()
    var numbering: RuleNumbering
    /// What the documents in force hold, so that a reload reads those that have changed.
    private var documents = DocumentCache()
    /// Files of those of them that are kept as the last good ones.
    private var files = KnownFiles()
    /// The same, of the last load.
    var filesRead = KnownFiles()
    /// The policy that live flows were last evaluated with (S6): the one in force, unless that failed.
    private var evaluated: Policy?
    /// An earlier run ended in the middle of an evaluation, with whatever policy.
    private var owesEvaluation = false
    /// What that evaluation, or somebody, has ended in this run, and the policy has not allowed again since.
    var ended = EndedFlows()
    var links: LinkTable
    private var observer: FlowObserver?
    /// When the last swap was, and whether it left something to sweep a while later.
    var lastSwap: (at: UInt64, leavesSomething: Bool)?
    var auditTimer: (any DispatchSourceTimer)?
    var salt = ""
    var lastTouch: UInt64 = 0
    var isAuditDue = false
    /// The next piece of a proof waits in the queue.
    var isProving = false

    /// Of the netlink socket that changes the table.
    nonisolated let tablePort: UInt32
    /// The policy in force, for whoever answers questions about it.
    nonisolated let policy = Mutex<Policy?>(nil)
    nonisolated let history = Mutex(EnforcementHistory())
    /// Called in the middle of what may take long.
    nonisolated let signOfLife = Mutex<(@Sendable () -> Void)?>(nil)

    init(options: DaemonOptions, links: LinkTable, journal: Journal) throws(KernelError) {
        self.options = options
        self.links = links
        self.journal = journal
        state = try StateFolder(options.state)
        let store = try KernelRulesetStore()
        enforcement = Enforcement(store: store)
        tablePort = store.portID
        let stored = state.numbers.read()
        if let problem = stored.problem { journal.log(.warning, problem) }
        numbering = stored.numbering ?? RuleNumbering()
        // What flows carry and the numbers' file does not know is not given to other rules.
        var connections = try? ConntrackTable()
        numbering.reserve((try? connections?.ruleNumbers()) ?? [])
    }

    // MARK: Start

    /// The first policy of a run: the documents, or where they have a fault the last ones that had none (E5).
    func firstPolicy() -> Result<FirstPolicy, StartFailure> {
        do throws(ConfigurationFaults) {
            let (policy, sources) = try load(from: options.configuration)
            guard let policy else { return .failure(Self.tooManyRules) }
            return .success(FirstPolicy(policy: policy, sources: sources))
        } catch {
            error.faults.forEach(report)
            guard let sources = state.lastGood.sources(), let policy = try? load(sources).policy else {
                return .failure(StartFailure(description: ReloadOutcome.faulty(error.faults).message))
            }
            journal.log(.warning, "the documents have faults; the last policy without any is loaded instead")
            history.withLock { $0.isLastGood = true }
            return .success(FirstPolicy(policy: policy, sources: nil))
        }
    }

    static let tooManyRules = StartFailure(
        description: "there are more rules than numbers for them (a million)")

    /// Brings the first policy into force.
    func start(_ first: FirstPolicy, observer: FlowObserver) -> ReloadOutcome {
        self.observer = observer
        evaluated = policyOfEarlierRun(for: first.policy)
        owesEvaluation = state.owesEvaluation
        var outcome = enforce(first.policy, first.sources, isFirst: true)
        record(outcome)
        if !outcome.isSuccess, policy.withLock({ $0 }) != nil {
            // It was swapped in, and could not be read back then.
            outcome = enforce(first.policy, first.sources, isFirst: true)
            record(outcome)
        }
        if !outcome.isSuccess, policy.withLock({ $0 }) == nil, let sources = state.lastGood.sources(),
            let last = try? load(sources).policy
        {
            // A full disk, say, cannot keep the numbers of new rules; those of the last policy are kept already.
            outcome = enforce(last, nil, isFirst: true)
            history.withLock { $0.isLastGood = outcome.isSuccess }
            record(outcome)
        }
        scheduleAudit()
        return outcome
    }

    /// With what live flows were evaluated before this run began; nil where no group asks for that (S6).
    private func policyOfEarlierRun(for first: Policy) -> Policy? {
        guard first.estate.networkSecurityGroups.values.contains(where: \.flushConnection),
            let sources = state.lastGood.sources()
        else { return nil }
        return try? load(sources).policy
    }

    // MARK: Reload

    /// Reads the documents again; what changed is sent (E3).
    func reload() -> ReloadOutcome {
        let outcome: ReloadOutcome
        do throws(ConfigurationFaults) {
            retireNumbers()
            let (policy, sources) = try load(from: options.configuration)
            outcome = policy.map { enforce($0, sources) } ?? .refused(Self.tooManyRules.description)
            if outcome.isSuccess { history.withLock { $0.isLastGood = false } }
        } catch {
            outcome = .faulty(error.faults)
        }
        record(outcome)
        return outcome
    }

    private func load(
        from folder: String
    ) throws(ConfigurationFaults) -> (policy: Policy?, sources: ConfigurationSources) {
        filesRead = files
        let sources = try ConfigurationFolder.read(folder, serviceTags: state.serviceTags, noting: &filesRead)
        do throws(ConfigurationFaults) {
            return try load(sources, reusing: &documents)
        } catch {
            guard documents.lacksText else { throw error }
        }
        filesRead = KnownFiles()
        let all = try ConfigurationFolder.read(folder, serviceTags: state.serviceTags, noting: &filesRead)
        return try load(all, reusing: &documents)
    }

    private func load(
        _ sources: ConfigurationSources
    ) throws(ConfigurationFaults) -> (policy: Policy?, sources: ConfigurationSources) {
        var others = DocumentCache()
        return try load(sources, reusing: &others)
    }

    private func load(
        _ sources: ConfigurationSources, reusing cache: inout DocumentCache
    ) throws(ConfigurationFaults) -> (policy: Policy?, sources: ConfigurationSources) {
        let configuration = try configuration(from: sources, reusing: &cache)
        let unfit = links.faults(of: configuration.estate.bindings)
        guard unfit.isEmpty else { throw ConfigurationFaults(unfit) }
        return (compiled(configuration), sources)
    }

    /// Nil where there are more rules than numbers.
    func compiled(_ configuration: Configuration, salt: String? = nil) -> Policy? {
        Policy(
            configuration, deviceAddresses: deviceAddresses, numbering: numbering, salt: salt ?? self.salt,
            after: policy.withLock { $0 })
    }

    var deviceAddresses: [String: [IPAddress]] { links.deviceAddresses }

    func enforce(_ wanted: Policy, _ sources: ConfigurationSources?, isFirst: Bool = false) -> ReloadOutcome {
        finishSweep()
        let before = policy.withLock { $0 }
        do throws(KernelError) {
            // On disk before the swap: a flow may carry a new number from that instant on (E4).
            if !wanted.numbering.unsaved.isEmpty { try state.numbers.store(wanted.numbering) }
        } catch {
            return .refused("the rules' numbers cannot be kept, so the policy was not changed: \(error)")
        }
        numbering = wanted.numbering
        numbering.noteSaved()
        let review = review(to: wanted)
        if review != nil { note(owesEvaluation: true) }
        tell(wanted)
        switch apply(wanted) {
        case .failure(let failure):
            guard failure.isSwapped else {
                if let before { tell(before) }
                return .refused("the kernel refused the change, what was in force before it still is: \(failure)")
            }
            policy.withLock { $0 = wanted }
            return .refused("the new policy was put in force, but is not proven to be: \(failure)")
        case .success(let (summary, inForce)):
            policy.withLock { $0 = inForce }
            let notes = wanted.configuration.notes + [evaluateFlows(by: review, with: inForce)].compactMap(\.self)
            if !summary.isUnchanged { releaseFlows(allowedBy: inForce) }
            if isFirst { settle(sources) } else { settleLater(sources, after: before) }
            return summary.isUnchanged ? .unchanged(notes: notes) : .applied(summary, notes: notes)
        }
    }

    /// What a change leaves to be done. A run that ends before has the documents before it as its last good ones, and
    /// leaves the evaluation of flows to the next one.
    private func settle(_ sources: ConfigurationSources?) {
        keepLastGood(sources)
        if !owesEvaluation { note(owesEvaluation: false) }
        UnusedMemory.release()
    }

    /// Once its outcome has been told, and before anything else happens here.
    /// - Parameter earlier: is let go only then: it takes a while to free what a large policy is made of.
    private func settleLater(_ sources: ConfigurationSources?, after earlier: Policy?) {
        executor.queue.async { [self] in
            withExtendedLifetime(earlier) {}
            assumeIsolated { $0.settle(sources) }
        }
    }

    /// What a change of policy asks of live flows; nil where it asks nothing (S6).
    private func review(to wanted: Policy) -> FlowReview? {
        guard evaluated != nil || owesEvaluation else { return nil }
        return FlowReview(
            from: owesEvaluation ? nil : evaluated, to: wanted,
            localAddresses: Set(deviceAddresses.values.flatMap(\.self)))
    }

    /// On disk before the swap: what the policy in between lets pass has to be evaluated by the next run, should this
    /// one die, whatever its documents are.
    private func note(owesEvaluation: Bool) {
        do throws(KernelError) {
            try state.note(owesEvaluation: owesEvaluation)
        } catch {
            journal.log(.warning, "whether live flows are to be evaluated cannot be kept for the next run: \(error)")
        }
    }

    /// Ends the flows that groups with `flushConnection` on refuse from now on (S6); gives a note about it.
    private func evaluateFlows(by review: FlowReview?, with inForce: Policy) -> String? {
        guard let review else {
            evaluated = inForce
            owesEvaluation = false
            return nil
        }
        // What the rules before let pass at the last moment has its connection by then.
        finishSweep()
        do throws(KernelError) {
            let outcome = try cut(by: review, noting: &ended, in: &enforcement) { signOfLife.withLock { $0 }?() }
            history.withLock { $0.flowsEnded += outcome.ended }
            owesEvaluation = outcome.failed != nil
            if !owesEvaluation { evaluated = inForce }
            guard let message = outcome.message else { return nil }
            let isWhole = outcome.failed == nil && outcome.unmarked == nil
            journal.log(isWhole ? .info : .error, message, id: "flush")
            return message
        } catch {
            owesEvaluation = true
            let message = "live connections were not evaluated again, the next reload will try it: \(error)"
            journal.log(.error, message, id: "flush")
            return message
        }
    }

    /// What was ended and is allowed again may begin from either side at once (S6).
    private func releaseFlows(allowedBy inForce: Policy) {
        // Without bindings the table has nothing that could keep them out.
        guard !inForce.estate.bindings.isEmpty else { return ended = EndedFlows() }
        var rest = ended
        let allowed = rest.takeAllowed(by: inForce)
        do throws(KernelError) {
            try enforcement.release(allowed, table: FixedNames.table)
            ended = rest
        } catch {
            journal.log(
                .warning, "connections that were ended are kept out until the next change: \(error)", id: "flush")
        }
    }

    /// Where our own objects were tampered with, names of their own replace them all.
    func apply(_ wanted: Policy) -> Result<(Enforcement.Summary, Policy), Enforcement.Failure> {
        do throws(Enforcement.Failure) {
            return .success((try swapIn(wanted), wanted))
        } catch let first {
            let fresh = "\(Clock.sinceEpoch)"
            guard first.mayBeDamage, let again = compiled(wanted.configuration, salt: fresh) else {
                return .failure(first)
            }
            if first.isSwapped { PacketGrace.wait() }
            do throws(Enforcement.Failure) {
                let summary = try swapIn(again)
                salt = fresh
                journal.log(.warning, "our table was changed by somebody else and has been built anew: \(first)")
                return .success((summary, again))
            } catch {
                if error.isSwapped { salt = fresh }
                return .failure(error)
            }
        }
    }

    private func swapIn(_ wanted: Policy) throws(Enforcement.Failure) -> Enforcement.Summary {
        do throws(Enforcement.Failure) {
            let summary = try enforcement.apply(wanted.wanted)
            if summary.skeleton + summary.swap + summary.sweep > 0 {
                sweepLater(leavesSomething: summary.sweep > 0)
            } else {
                proveLater()
            }
            return summary
        } catch {
            if error.isSwapped { sweepLater(leavesSomething: true) }
            throw error
        }
    }

    /// In order with the packets, which come by the same queue: those of the swap that follows come after. Not waited
    /// for, since a flood of packets would hold up a change of the rules that end it.
    private func tell(_ policy: Policy) {
        guard let observer else { return }
        observer.executor.queue.async { observer.assumeIsolated { $0.adopt(policy) } }
    }

    private func keepLastGood(_ sources: ConfigurationSources?) {
        guard let sources else { return }
        files = KnownFiles()
        do throws(KernelError) {
            try state.lastGood.store(sources)
            files = filesRead
        } catch {
            journal.log(.warning, "the documents cannot be kept for a start with faulty ones: \(error)")
        }
    }

    func retireNumbers() {
        // Another time will do, where it would be waited for.
        guard let observer, !observer.isBehind, let present = policy.withLock({ $0 }),
            numbering.isWorthRetiring(absentFrom: present.book),
            let live = observer.executor.queue.sync(execute: { observer.assumeIsolated { $0.numbersInUse() } })
        else { return }
        numbering.retire(absentFrom: present.book, carriedBy: live)
    }

    func record(_ outcome: ReloadOutcome) {
        let now = Timestamp(nanoseconds: Clock.sinceEpoch)
        history.withLock { $0.note(outcome, at: now) }
        switch outcome {
        case .applied(_, let notes), .unchanged(let notes):
            for note in notes { journal.log(.debug, note) }
            journal.log(.info, outcome.message)
        case .faulty(let faults):
            faults.forEach(report)
            journal.log(.error, outcome.message)
        case .refused: journal.log(.error, outcome.message)
        }
    }

    private func report(_ fault: Fault) {
        journal.log(
            .error, "\(fault)", id: "fault",
            fields: [("NSGD_FILE", fault.file), ("NSGD_PATH", "\(fault.path)"), ("NSGD_CODE", fault.code)])
    }

    // MARK: Out

    /// Takes every rule of ours out of the kernel (E5). Nothing is enforced until the next reload.
    func flush() -> Result<Void, KernelError> {
        finishSweep()
        do throws(KernelError) {
            // Before anything else: an audit must not put back what is taken out, even if somebody else took it out
            // first.
            let isThere = try enforcement.open(table: FixedNames.table)
            policy.withLock { $0 = nil }
            evaluated = nil
            ended = EndedFlows()
            history.withLock { $0.enforcedSince = nil }
            guard isThere else { return .success(()) }
            PacketGrace.wait()
            try enforcement.removeTable(FixedNames.table)
        } catch { return .failure(error) }
        journal.log(.notice, "every rule has been taken out; nothing is enforced until the next reload")
        return .success(())
    }
}

extension Enforcement.Failure {
    /// Whether objects of our names with other content would explain it: `EEXIST`, `ENOENT`, or a difference when read
    /// back.
    fileprivate var mayBeDamage: Bool {
        switch self {
        case .differs: true
        case .refused(let error): error.errno == 17 || error.errno == 2
        case .unconfirmed: false
        }
    }
}
