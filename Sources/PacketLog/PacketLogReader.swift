internal import CShims
internal import Dispatch
package import NetworkTypes

/// Packets read in one go, and what is missing.
package struct PacketBatch: Sendable {
    package var packets: [LoggedPacket] = []
    /// Messages of the group that never came, by their numbers: exact.
    package var lost = 0
    /// Times so far that the kernel found the receive buffer full (pcap's `ps_drop`).
    package var drops: UInt32 = 0
    /// The capture has failed and ends with this batch.
    package var failure: KernelError?
}

/// Captures an NFLOG group through libpcap from `start` until the value dies. Reads and decodes on a queue of its own
/// and hands over batches there; whoever takes them must be quick, or pass them on.
package final class PacketLogReader: Sendable {
    private let core: Core
    private let queue: DispatchQueue
    /// Bytes of the receive buffer in force, as `SO_RCVBUF` gives them.
    package let receiveBuffer: Int
    /// Whether packets come with their connections: the kernel has `CONFIG_NETFILTER_NETLINK_GLUE_CT`.
    package let givesConnections: Bool

    /// Throws `EBUSY` where another program reads the group.
    /// - Parameter receiveBuffer: bytes asked for; what is granted may be less (`net.core.rmem_max`).
    package init(
        group: UInt16, receiveBuffer: Int = 32 << 20, handler: @escaping @Sendable (PacketBatch) -> Void
    ) throws(KernelError) {
        let capture = try PacketCapture(group: group)
        var early = PacketBatch()
        var gaps = SequenceGaps()
        let tuning = try capture.tune(group: group, receiveBuffer: receiveBuffer) { bytes in
            early.append(bytes, time: nsgd_clock_realtime(), &gaps)
        }
        self.receiveBuffer = tuning.receiveBuffer
        givesConnections = tuning.givesConnections
        queue = DispatchQueue(label: "packet log \(group)")
        core = Core(capture, early, gaps, queue, handler)
    }

    package func start() {
        queue.async { [core] in core.start() }
    }

    /// Whether packets come with their bytes from now on; `done` is called on the reader's queue before the next batch.
    package func keepBytes(_ keepsBytes: Bool, done: @escaping @Sendable () -> Void) {
        queue.async { [core] in
            core.keepsBytes = keepsBytes
            done()
        }
    }

    deinit { queue.async { [core] in core.stop() } }

    /// Everything here but `init` runs on the queue, which is what makes it safe to send.
    private final class Core: @unchecked Sendable {
        private let capture: PacketCapture
        private var batch: PacketBatch
        private var gaps: SequenceGaps
        private let source: any DispatchSourceRead
        private let handler: @Sendable (PacketBatch) -> Void
        private var isStarted = false
        var keepsBytes = false

        init(
            _ capture: consuming PacketCapture, _ early: PacketBatch, _ gaps: SequenceGaps, _ queue: DispatchQueue,
            _ handler: @escaping @Sendable (PacketBatch) -> Void
        ) {
            source = DispatchSource.makeReadSource(fileDescriptor: capture.descriptor, queue: queue)
            self.capture = capture
            batch = early
            self.gaps = gaps
            self.handler = handler
        }

        func start() {
            guard !isStarted else { return }
            isStarted = true
            source.setEventHandler { [unowned self] in drain() }
            // Holds the capture open until Dispatch has let go of the descriptor.
            source.setCancelHandler { withExtendedLifetime(self) {} }
            source.activate()
        }

        func stop() {
            // A source may not be released before it has been activated.
            start()
            source.cancel()
        }

        /// At most 16 datagrams a batch, of about 100 packets each.
        private func drain() {
            do throws(KernelError) {
                for _ in 0..<16 {
                    let more = try capture.read { time, bytes in
                        batch.append(bytes, time: time, &gaps, keepsBytes: keepsBytes)
                    }
                    if !more { break }
                }
            } catch {
                batch.failure = error
                source.cancel()
            }
            let drops = capture.statistics().drops
            let isNew = drops != batch.drops
            batch.drops = drops
            guard isNew || !batch.packets.isEmpty || batch.lost > 0 || batch.failure != nil else { return }
            handler(batch)
            // Whoever took them may still hold them.
            let count = batch.packets.count
            batch.packets = []
            batch.packets.reserveCapacity(min(count, 1024))
            batch.lost = 0
        }
    }
}

extension PacketBatch {
    fileprivate mutating func append(
        _ bytes: RawSpan, time: UInt64, _ gaps: inout SequenceGaps, keepsBytes: Bool = false
    ) {
        guard let packet = LoggedPacket(nflog: bytes, time: time, keepsBytes: keepsBytes) else { return }
        if let sequence = packet.sequence { lost += gaps.missing(before: sequence) }
        packets.append(packet)
    }
}
