import AnalyticsStore
import Dispatch
import FlowLog
import NSGConfig
import NSGEngine
import NetworkTypes
import NftablesKernel
import Synchronization
import SystemServices
import TrafficReport

/// Owns the file of traffic analytics: stores what is handed over, forgets what is too old, and answers questions. All
/// of it on a queue of its own: whatever the disk does, neither enforcement nor the flow log waits for it.
actor TrafficAnalytics {
    nonisolated let executor = QueueExecutor(label: "analytics")
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    private var store: AnalyticsStore
    private let path: String
    private let journal: Journal
    private var atlas: (version: UInt64, places: AddressAtlas)?
    private var counters: KernelRulesetStore?
    /// The hour in which intervals that are too old were removed last.
    private var expired: UInt64 = 0

    /// What others leave for the queue.
    private nonisolated let inbox: Mutex<Inbox>

    private struct Inbox {
        var policy: Policy
        /// Tells a policy from those before it.
        var version: UInt64 = 0
        /// Oldest first.
        var waiting: [TrafficBatch] = []
        var rows = 0
        var lost: UInt64 = 0
        /// Why rows are not stored; nil while they are.
        var problem: String?
    }

    /// Rows that wait while they cannot be stored, of some 200 bytes each.
    private static let mostRows = 131_072

    init(folder: String, policy: Policy, journal: Journal, limits: AnalyticsStore.Limits = .init()) {
        path = "\(folder)/analytics.db"
        store = AnalyticsStore(path: path, limits: limits)
        self.journal = journal
        inbox = Mutex(Inbox(policy: policy))
    }

    // MARK: From other queues

    /// Stores the rows as soon as it can. Beyond the limit they are lost, and counted.
    nonisolated func take(_ batch: TrafficBatch) {
        inbox.withLock { inbox in
            guard inbox.rows + batch.count <= Self.mostRows else {
                inbox.lost += UInt64(batch.count)
                return
            }
            inbox.waiting.append(batch)
            inbox.rows += batch.count
        }
        executor.queue.async { [self] in assumeIsolated { $0.storeWaiting() } }
    }

    /// Stores what could not be stored before.
    nonisolated func tryAgain() {
        guard inbox.withLock({ !$0.waiting.isEmpty }) else { return }
        executor.queue.async { [self] in assumeIsolated { $0.storeWaiting() } }
    }

    nonisolated func adopt(_ policy: Policy) {
        inbox.withLock { inbox in
            inbox.policy = policy
            inbox.version += 1
        }
    }

    /// For `status`: why rows are not stored, and how many are lost for good.
    nonisolated var problems: [String] {
        inbox.withLock { inbox in
            let lost = inbox.lost == 0 ? nil : "\(inbox.lost) rows of traffic analytics are lost"
            return [inbox.problem, lost].compactMap(\.self)
        }
    }

    /// Stores what waits, and closes the file.
    nonisolated func finish() {
        executor.queue.sync {
            assumeIsolated { analytics in
                analytics.storeWaiting()
                analytics.store.close()
            }
        }
    }

    // MARK: Storing

    /// What fails is tried again with the next batch, within a minute, and before a question.
    private func storeWaiting() {
        let places = currentPlaces()
        while let batch = inbox.withLock({ $0.waiting.first }) {
            do throws(StoreError) {
                try store.add(batch, atlas: places)
            } catch {
                fail("traffic analytics are not stored: \(error)")
                return
            }
            inbox.withLock { inbox in
                inbox.waiting.removeFirst()
                inbox.rows -= batch.count
                inbox.problem = nil
            }
            reportDamage()
        }
        expire()
    }

    private func fail(_ problem: String) {
        reportDamage()
        journal.log(.error, problem, id: "analytics")
        inbox.withLock { $0.problem = problem }
    }

    private func reportDamage() {
        if let damage = store.takeDamage() { journal.log(.warning, damage, id: "analytics damage") }
    }

    private func currentPlaces() -> AddressAtlas {
        let (policy, version) = inbox.withLock { ($0.policy, $0.version) }
        if let atlas, atlas.version == version { return atlas.places }
        let places = AddressAtlas(policy.estate)
        atlas = (version, places)
        return places
    }

    /// Once an hour, in pieces.
    private func expire() {
        let now = Self.now
        let days = inbox.withLock { $0.policy.configuration.settings.analytics.retentionDays }
        guard let days, days > 0, now.seconds / 3600 != expired else { return }
        let age = UInt64(days) * 86_400
        do throws(StoreError) {
            let limit = Timestamp(seconds: now.seconds - min(age, now.seconds))
            if try store.expire(before: limit) {
                executor.queue.async { [self] in assumeIsolated { $0.expire() } }
            } else {
                expired = now.seconds / 3600
            }
        } catch {
            expired = now.seconds / 3600
            fail("old traffic analytics are not removed: \(error)")
        }
    }

    // MARK: Questions

    /// What the rows that are stored say, and what the policy in force and the kernel's counters know of the rules.
    func summary(_ query: TrafficQuery) throws(StoreError) -> TrafficSummary {
        defer { reportDamage() }
        if inbox.withLock({ !$0.waiting.isEmpty }) { storeWaiting() }
        var summary = try store.summary(query, now: Self.now)
        let (policy, lost) = inbox.withLock { ($0.policy, $0.lost) }
        summary.rowsLost = lost
        if query.parts.contains(.rules) {
            summary.completeRules(from: policy, counters: readCounters(), query)
        }
        return summary
    }

    /// Nil where the kernel cannot be asked.
    private func readCounters() -> RuleCounters? {
        do throws(KernelError) {
            let present: KernelRulesetStore
            if let counters { present = counters } else { present = try KernelRulesetStore() }
            counters = present
            return try RuleCounters(present)
        } catch {
            counters = nil
            journal.log(.warning, "the rules' counters cannot be read: \(error)", id: "counters")
            return nil
        }
    }

    private static var now: Timestamp { Timestamp(nanoseconds: Clock.sinceEpoch) }
}
