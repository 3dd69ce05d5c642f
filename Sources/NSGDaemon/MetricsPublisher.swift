import ConntrackKernel
import ControlProtocol
import Dispatch
import FlowLog
import NSGCompiler
import NSGConfig
import NSGEngine
import NetworkTypes
import Nftables
import NftablesKernel
import Synchronization
import SystemServices

/// What was read of the kernel for `status` and metrics.
struct HostReading: Sendable {
    /// Of the table; none where they cannot be read.
    var counters: [CounterName: CounterValue] = [:]
    var conntrack: ConntrackFill?
    /// Why the file of metrics is not written; nil while it is, or is not wanted.
    var metricsProblem: String?
}

/// Reads counters and conntrack on a queue of its own, writes the file of metrics (D6), and warns before conntrack is
/// full.
///
/// Unchecked, because: the constants are safe by themselves or, as the socket, touched on `queue` alone, like each
/// `var`.
final class MetricsPublisher: @unchecked Sendable {
    private let queue = DispatchQueue(label: "metrics")
    private let enforcer: Enforcer
    private let observer: FlowObserver
    private let status: StatusReport
    private let journal: Journal
    private let store: KernelRulesetStore
    private var timer: (any DispatchSourceTimer)?
    private var alarm = ConntrackAlarm()
    private var settings = Settings().metrics
    /// The file that is there by us.
    private var written: String?
    private var problem: String?
    /// Nanoseconds of the monotonic clock.
    private var lastFile: UInt64 = 0
    private var lastWatch: UInt64 = 0
    private var isGathering = false
    private static let watchInterval: UInt64 = 10_000_000_000

    init(_ enforcer: Enforcer, _ observer: FlowObserver, _ status: StatusReport, _ journal: Journal) throws(KernelError)
    {
        self.enforcer = enforcer
        self.observer = observer
        self.status = status
        self.journal = journal
        store = try KernelRulesetStore()
    }

    func start() {
        queue.async { [self] in
            let timer = DispatchSource.makeTimerSource(queue: queue)
            timer.schedule(deadline: .now(), repeating: 1, leeway: .milliseconds(100))
            timer.setEventHandler { [unowned self] in tick() }
            timer.activate()
            self.timer = timer
        }
    }

    // MARK: What others ask

    /// - Parameter use: is called on the queue.
    func read(_ use: @escaping @Sendable (HostReading) -> Void) {
        queue.async { [self] in use(reading()) }
    }

    /// - Parameter use: is called on the queue.
    func gather(_ use: @escaping @Sendable (HostMetrics) -> Void) {
        read { [self] reading in
            observer.executor.queue.async { [self] in
                let report = observer.assumeIsolated { $0.report() }
                queue.async { [self] in use(metrics(reading, report)) }
            }
        }
    }

    private func reading() -> HostReading {
        let conntrack = ConntrackSettings.read()
        var reading = HostReading(
            conntrack: ConntrackFill(connections: conntrack.count, limit: conntrack.maximum), metricsProblem: problem)
        do throws(KernelError) {
            reading.counters = try store.counters(table: FixedNames.table)
        } catch {
            journal.log(.warning, "the rules' counters cannot be read: \(error)", id: "counters")
        }
        return reading
    }

    private func metrics(_ reading: HostReading, _ report: ObserverReport) -> HostMetrics {
        let history = enforcer.history.withLock { $0 }
        var metrics = HostMetrics(version: Installation.version, startedAt: status.startedAt)
        metrics.recorded.decisionsLogged = report.decisionsLogged
        metrics.recorded.decisionsMissing = report.losses.decisions
        metrics.recorded.recordsLost = report.recordsLost
        metrics.recorded.conntrackOverruns = UInt64(clamping: report.losses.conntrackOverruns)
        metrics.recorded.liveFlows = UInt64(clamping: report.liveFlows)
        metrics.recorded.flowsEnded = UInt64(clamping: history.flowsEnded)
        metrics.recorded.driftsFound = UInt64(clamping: history.driftsFound)
        metrics.recorded.driftsHealed = UInt64(clamping: history.driftsHealed)
        metrics.isCapturing = report.isCapturing
        metrics.problems = status.problems(report, reading).count
        metrics.enforcedSince = history.enforcedSince
        metrics.lastReload = history.lastReload.map { ($0.at, $0.succeeded) }
        metrics.conntrack = reading.conntrack
        metrics.policy = enforcer.policy.withLock { $0 }
        metrics.counters = reading.counters
        return metrics
    }

    // MARK: Time

    private func tick() {
        let now = Clock.monotonic
        if now &- lastWatch >= Self.watchInterval {
            lastWatch = now
            let conntrack = ConntrackSettings.read()
            let fill = ConntrackFill(connections: conntrack.count, limit: conntrack.maximum)
            if let warning = alarm.warning(about: fill, at: now) {
                journal.log(.warning, warning, id: "conntrack full")
            }
        }
        // After a flush no policy tells; what was wanted before it still is.
        if let policy = enforcer.policy.withLock({ $0 }) { settings = policy.configuration.settings.metrics }
        if let written, written != settings.file {
            // What nobody brings up to date would be taken for true.
            try? Files.remove(written)
            self.written = nil
        }
        guard let file = settings.file else { return problem = nil }
        let interval = UInt64(clamping: settings.interval.components.seconds) * 1_000_000_000
        guard !isGathering, written == nil && problem == nil || now &- lastFile >= interval else { return }
        isGathering = true
        lastFile = now
        gather { [self] metrics in
            isGathering = false
            write(metrics.text, to: file)
        }
    }

    private func write(_ text: String, to file: String) {
        do throws(KernelError) {
            try Files.publish(file, Array(text.utf8))
            written = file
            problem = nil
        } catch {
            problem = "metrics are not written: \(error)"
            journal.log(.warning, problem ?? "", id: "metrics")
        }
    }
}
