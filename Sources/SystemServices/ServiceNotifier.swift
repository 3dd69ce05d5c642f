internal import CSystemd
internal import Glibc

/// Tells the service manager how the daemon does (`sd_notify`). Does nothing where `NOTIFY_SOCKET` is not set.
package struct ServiceNotifier: Sendable {
    package init() {}

    package func ready(status: String) { send("READY=1\nSTATUS=\(Self.line(status))") }

    /// Before a reload; `ready` ends it. `Type=notify-reload` waits for a time stamp that is not older than its
    /// request.
    package func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic / 1000)") }

    package func stopping() { send("STOPPING=1") }

    /// One line that `systemctl status` shows.
    package func status(_ text: String) { send("STATUS=\(Self.line(text))") }

    /// A sign of life; give one at least each half of `watchdogInterval`.
    package func watchdog() { send("WATCHDOG=1") }

    /// Nanoseconds after which the manager gives a silent service up (`WatchdogSec=`); nil without a watchdog.
    package var watchdogInterval: UInt64? {
        var microseconds: UInt64 = 0
        guard unsafe sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
        return microseconds.multipliedReportingOverflow(by: 1000).partialValue
    }

    /// Gives the manager a copy of a descriptor, to be handed back to the next run of the service under `name`
    /// (letters, digits, hyphens). False where there is no manager to take it.
    package func store(_ descriptor: Int32, name: String) -> Bool {
        var descriptor = descriptor
        return unsafe sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=\(Self.line(name))", &descriptor, 1) > 0
    }

    package func removeStored(name: String) { send("FDSTOREREMOVE=1\nFDNAME=\(Self.line(name))") }

    /// Descriptors that the manager handed to this process, by name: stored ones and sockets. Whoever takes one closes
    /// it.
    package static func inherited() -> [String: [Int32]] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = unsafe sd_listen_fds_with_names(0, &names)
        guard count > 0 else { return [:] }
        var descriptors: [String: [Int32]] = [:]
        for index in 0..<count {
            // SD_LISTEN_FDS_START
            let descriptor = 3 + index
            let name = unsafe names?[Int(index)]
            unsafe descriptors[name.map { unsafe String(cString: $0) } ?? "unknown", default: []].append(descriptor)
            unsafe free(name)
        }
        unsafe free(names)
        return descriptors
    }

    private func send(_ state: String) { unsafe sd_notify(0, state) }

    private static func line(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
