import Dispatch
import FlowLog
import NSGCompiler
import NSGEngine
import NetworkTypes
import Nftables
import NftablesKernel
import SystemServices

extension FlowObserver {
    /// Reads the counters, gives what was decided by then time to arrive, and holds the records against them. What did
    /// not arrive is declared missing at once. Answers within a few seconds; nil where the counters cannot be read.
    func prove(_ answer: @escaping @Sendable (LogProof?) -> Void) {
        guard let first = counterReading() else { return answer(nil) }
        let time = Timestamp(nanoseconds: Clock.sinceEpoch)
        proveLater(first, at: time, attempts: 50, answer)
    }

    /// Packets wait in the kernel for a tenth of a second at most, so after two of these pauses all are here that are
    /// not lost, once the inbox is empty.
    private func proveLater(
        _ first: [CounterName: CounterValue], at time: Timestamp, attempts: Int,
        _ answer: @escaping @Sendable (LogProof?) -> Void
    ) {
        executor.queue.asyncAfter(deadline: .now() + .milliseconds(150)) {
            self.assumeIsolated { observer in
                let waited = Clock.sinceEpoch - time.nanoseconds
                if attempts > 0, waited < 300_000_000 || observer.hasArrivals {
                    return observer.proveLater(first, at: time, attempts: attempts - 1, answer)
                }
                answer(observer.proof(first, at: time))
            }
        }
    }
}
