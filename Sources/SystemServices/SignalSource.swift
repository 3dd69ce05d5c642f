internal import CShims
internal import Dispatch
internal import Glibc
package import NetworkTypes

/// Signals as events, on a queue of their own, until the value dies. `SIGPIPE` is ignored: a write to a closed socket
/// is an error of that write. One a process, made before anything else starts.
package final class SignalSource: @unchecked Sendable {
    // Unchecked: the source is made in init, cancelled in deinit, and never touched between.
    package enum Signal: Sendable {
        /// `SIGHUP`
        case reload
        /// `SIGTERM` and `SIGINT`
        case terminate
    }

    private static let signals = [SIGHUP, SIGTERM, SIGINT]
    private let source: any DispatchSourceRead

    package init(handler: @escaping @Sendable (Signal) -> Void) throws(KernelError) {
        signal(SIGPIPE, SIG_IGN)
        var descriptor: Int32 = -1
        for number in Self.signals {
            descriptor = nsgd_signal_descriptor(number)
            guard descriptor >= 0 else { throw KernelError(errno: errno, doing: "catch signal \(number)") }
        }
        source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: DispatchQueue(label: "signals"))
        source.setEventHandler { [descriptor] in
            var numbers = [UInt8](repeating: 0, count: 16)
            let count = unsafe read(descriptor, &numbers, numbers.count)
            for number in numbers.prefix(max(count, 0)) { handler(Int32(number) == SIGHUP ? .reload : .terminate) }
        }
        source.activate()
    }

    deinit {
        source.cancel()
        for number in Self.signals { signal(number, SIG_DFL) }
    }
}
