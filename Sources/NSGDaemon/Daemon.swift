import ControlProtocol
import Dispatch
import FlowLog
import Glibc
import JSONText
import NSGCompiler
import NSGConfig
import NSGEngine
import NetworkTypes
import NftablesKernel
import Synchronization
import SystemServices

/// The whole: brings the documents into force, watches, answers, and ends on a signal with the rules still in force.
package enum Daemon {
    /// Runs until a signal ends the process. Returns the exit status of a start that failed.
    package static func run(_ arguments: [String]) -> Int32 {
        let options: DaemonOptions
        do {
            options = try DaemonOptions(arguments: arguments)
        } catch {
            say("nsgd: \(error)")
            return 2
        }
        if options.showsHelp || options.showsVersion {
            print(options.showsHelp ? DaemonOptions.help : "nsgd \(Installation.version)")
            return 0
        }
        UnusedMemory.keepLittle()
        let journal = Journal("nsgd")
        do {
            let running = try RunningDaemon(options, journal)
            try running.start()
            dispatchMain()
        } catch {
            journal.log(.error, "nsgd cannot start: \(error)")
            return 1
        }
    }

    private static func say(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { bytes in _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    }
}

/// What lives as long as the process.
final class RunningDaemon: Sendable {
    private let options: DaemonOptions
    private let journal: Journal
    private let notifier = ServiceNotifier()
    private let links: LinkSnapshot
    private let watcher: LinkWatcher
    private let handOver: LinkHandOver
    private let enforcer: Enforcer
    private let startedAt = Timestamp(nanoseconds: Clock.sinceEpoch)
    private let retained = Retained()
    private let signals: SignalSource
    private let signalHandOver: SignalHandOver

    init(_ options: DaemonOptions, _ journal: Journal) throws {
        self.options = options
        self.journal = journal
        // First of all: a signal during the start must not end the process by its default.
        let signalHandOver = SignalHandOver()
        self.signalHandOver = signalHandOver
        signals = try SignalSource { signal in signalHandOver.take(signal) }
        let handOver = LinkHandOver()
        self.handOver = handOver
        watcher = try LinkWatcher { table in handOver.take(table) }
        links = LinkSnapshot(watcher.initial)
        enforcer = try Enforcer(options: options, links: watcher.initial, journal: journal)
    }

    func start() throws {
        let enforcer = enforcer
        let first = try enforcer.executor.queue.sync { enforcer.assumeIsolated { $0.firstPolicy() } }.get()
        let analytics = TrafficAnalytics(folder: options.state, policy: first.policy, journal: journal)
        let observer = try FlowObserver(
            policy: first.policy, links: watcher.initial, logs: options.logs, state: options.state,
            systemID: Self.systemID, analytics: analytics, journal: journal)
        // Before anything is enforced: a second daemon ends here.
        let server = try listen(first.policy.configuration.settings.control, observer, analytics)
        observer.executor.queue.sync { observer.assumeIsolated { $0.open() } }
        let outcome = enforcer.executor.queue.sync {
            enforcer.assumeIsolated { $0.start(first, observer: observer) }
        }
        guard outcome.isSuccess else {
            server.stop()
            throw StartFailure(description: outcome.message)
        }
        observer.executor.queue.sync { observer.assumeIsolated { $0.follow() } }

        followLinks(observer)
        followTable()
        server.start()
        retained.hold(server)
        signalHandOver.begin { [self] signal in take(signal, observer, analytics, server) }
        watchdog(observer)
        notifier.ready(status: outcome.message)
        journal.log(.notice, "nsgd \(Installation.version) is ready; control socket \(options.socket)")
    }

    /// The name-based UUID of this machine's id.
    private static var systemID: UUID {
        let id = (try? Files.read("/etc/machine-id", limit: 128)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return UUID(named: "nsgd:" + id.filter { !$0.isWhitespace })
    }

    private func followLinks(_ observer: FlowObserver) {
        let (enforcer, links) = (enforcer, links)
        handOver.begin { table in
            links.table.withLock { $0 = table }
            observer.executor.queue.async { observer.assumeIsolated { $0.adopt(table) } }
            enforcer.executor.queue.async { enforcer.assumeIsolated { $0.linksChanged(table) } }
        }
        watcher.start()
    }

    /// Changes of our table by others (E6).
    private func followTable() {
        do throws(KernelError) {
            let events = try TableEvents(table: FixedNames.table, notBy: enforcer.tablePort) { [enforcer] in
                enforcer.executor.queue.async { enforcer.assumeIsolated { $0.tableTouched() } }
            }
            events.start()
            retained.hold(events)
        } catch {
            journal.log(.warning, "changes of our table are found by the audit alone: \(error)")
        }
    }

    private func listen(
        _ settings: Settings.Control, _ observer: FlowObserver, _ analytics: TrafficAnalytics
    ) throws -> ControlServer {
        if let slash = options.socket.lastIndex(of: "/"), slash > options.socket.startIndex {
            try Files.createFolder(String(options.socket[..<slash]), mode: 0o755)
        }
        let readers = UserGroups.number(of: settings.group)
        let status = StatusReport(
            enforcer: enforcer, analytics: analytics, startedAt: startedAt, links: links)
        let metrics = try MetricsPublisher(enforcer, observer, status, journal)
        metrics.start()
        retained.hold(metrics)
        let service = ControlService(
            enforcer: enforcer, observer: observer, metrics: metrics, analytics: analytics, status: status,
            permissions: ControlPermissions(
                readers: readers, administrators: UserGroups.number(of: settings.adminGroup)),
            options: options)
        let identity = ControlIdentity(
            vendor: "nsgd", product: "nsgd", version: Installation.version, url: "https://varlink.org")
        let server: ControlServer
        if let inherited = ServiceNotifier.inherited()["nsgd.socket"]?.first {
            server = try ControlServer(inherited: inherited, identity: identity, handler: service)
        } else {
            server = try ControlServer(path: options.socket, group: readers, identity: identity, handler: service)
        }
        return server
    }

    private func take(
        _ signal: SignalSource.Signal, _ observer: FlowObserver, _ analytics: TrafficAnalytics, _ server: ControlServer
    ) {
        switch signal {
        case .reload:
            notifier.reloading()
            let outcome = enforcer.executor.queue.sync { enforcer.assumeIsolated { $0.reload() } }
            notifier.ready(status: outcome.message)
        case .terminate:
            notifier.stopping()
            server.stop()
            observer.drainEvents()
            observer.executor.queue.sync { observer.assumeIsolated { $0.stop() } }
            analytics.finish()
            journal.log(.notice, "nsgd ends; the rules stay in force (nsgctl flush takes them out)")
            exit(0)
        }
    }

    /// A sign of life while both queues still work.
    private func watchdog(_ observer: FlowObserver) {
        guard let interval = notifier.watchdogInterval else { return }
        let isAlive: @Sendable () -> Void = { [notifier, observer] in
            observer.executor.queue.async { notifier.watchdog() }
        }
        // Also in the middle of a review of many connections, which holds the queue for longer.
        enforcer.signOfLife.withLock { $0 = isAlive }
        let timer = DispatchSource.makeTimerSource(queue: enforcer.executor.queue)
        timer.schedule(deadline: .now(), repeating: .nanoseconds(Int(clamping: interval / 2)))
        timer.setEventHandler(handler: isAlive)
        timer.activate()
        retained.hold(Boxed(timer))
    }
}
