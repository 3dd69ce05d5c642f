import ControlProtocol
import FlowLog
import Glibc
import Synchronization
import SystemServices

/// The file that a capture goes to: whole after each packet, ended once, from whichever thread comes first.
final class CaptureFile: Sendable {
    fileprivate struct State {
        var writer: PcapngWriter
        let descriptor: Int32
        var packets: UInt64 = 0
        /// Packets that the daemon left out.
        var leftOut: UInt64 = 0
        var failure: Int32 = 0
        var hasEnded = false
    }

    private let state: Mutex<State>
    let path: String
    /// Where the kernel cuts packets.
    private static let snapLength: UInt32 = 128

    /// Begins the file anew; `-` is standard output. Packets are private, so nobody else may read it.
    init(_ path: String) throws(CommandFailure) {
        self.path = path
        let descriptor =
            path == "-"
            ? STDOUT_FILENO : unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure(
                status: .refused, message: "cannot write \(path): \(unsafe String(cString: strerror(errno)))")
        }
        var names = utsname()
        _ = unsafe uname(&names)
        let system = "\(Self.text(names.sysname)) \(Self.text(names.release))"
        var state = State(writer: PcapngWriter(snapLength: Self.snapLength), descriptor: descriptor)
        state.write(
            state.writer.header(
                hardware: Self.text(names.machine), system: system, application: "nsgctl \(Installation.version)"))
        self.state = Mutex(state)
    }

    private static func text<Characters>(_ characters: Characters) -> String {
        unsafe withUnsafeBytes(of: characters) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// False where there is no more use in going on: it cannot be written, or has ended.
    func put(_ packet: CapturedPacket, leftOut: UInt64) -> Bool {
        state.withLock { state in
            guard !state.hasEnded else { return false }
            let dropped = leftOut >= state.leftOut ? leftOut - state.leftOut : 0
            state.leftOut = leftOut
            let bytes = state.writer.packet(packet.pcapng(dropped: dropped))
            state.write(bytes)
            state.packets += 1
            return state.failure == 0
        }
    }

    /// What a capture came to.
    struct Outcome {
        var packets: UInt64
        var leftOut: UInt64
        /// `errno` of a write; 0 for none.
        var failure: Int32
    }

    /// Writes the statistics.
    /// - Parameter leftOut: nil where the daemon has not said more than with the last packet.
    func end(leftOut: UInt64? = nil) -> Outcome { state.withLock { $0.end(leftOut: leftOut) } }

    /// The same without waiting for a write that does not end; nil then.
    func endAtOnce() -> Outcome? {
        for _ in 0..<20 {
            if let outcome = state.withLockIfAvailable({ $0.end(leftOut: nil) }) { return outcome }
            Clock.sleep(nanoseconds: 50_000_000)
        }
        return nil
    }
}

extension CaptureFile.State {
    fileprivate mutating func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while failure == 0, !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count > 0 { rest = rest.dropFirst(count) } else { failure = count == 0 ? EIO : errno }
        }
    }

    fileprivate mutating func end(leftOut: UInt64?) -> CaptureFile.Outcome {
        if !hasEnded {
            hasEnded = true
            self.leftOut = leftOut ?? self.leftOut
            write(writer.statistics(at: Timestamp(nanoseconds: Clock.sinceEpoch), dropped: self.leftOut))
        }
        return CaptureFile.Outcome(packets: packets, leftOut: self.leftOut, failure: failure)
    }
}
