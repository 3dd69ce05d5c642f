internal import Dispatch
internal import Glibc

/// Signals as events, on a queue of their own, until the value dies. `SIGPIPE` is ignored: a write to a closed socket is an error of
/// that write. Make it before anything else starts.
package final class SignalSource: @unchecked Sendable {
    // Unchecked: the sources are made in init, cancelled in deinit, and never touched between.
    package enum Signal: Sendable {
        /// `SIGHUP`
        case reload
        /// `SIGTERM` and `SIGINT`
        case terminate
    }

    private let sources: [any DispatchSourceSignal]

    package init(handler: @escaping @Sendable (Signal) -> Void) {
        let queue = DispatchQueue(label: "signals")
        signal(SIGPIPE, SIG_IGN)
        sources = [(SIGHUP, Signal.reload), (SIGTERM, .terminate), (SIGINT, .terminate)].map { number, meaning in
            // The default would end the process before Dispatch sees the signal.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { handler(meaning) }
            source.activate()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }
}
