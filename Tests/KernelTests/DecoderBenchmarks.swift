import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import ConntrackKernel
@testable import Netlink
@testable import PacketLog
@testable import SystemServices

/// Messages a second through the decoders, on one core. `NSGD_BENCHMARKS=1` and a release build make the figures mean
/// something.
@Suite(
    .serialized, .enabled(if: unsafe getenv("NSGD_BENCHMARKS") != nil, "benchmarks are asked for by NSGD_BENCHMARKS=1"))
struct DecoderBenchmarks {
    private func rate(_ name: String, _ count: Int, _ body: () -> Void) {
        let start = Clock.monotonic
        for _ in 0..<count { body() }
        let seconds = Double(Clock.monotonic - start) / 1e9
        print("\(name): \(Int(Double(count) / seconds)) a second")
    }

    @Test func nflog() throws {
        let bytes = try PacketHeaderTests.nflog()
        rate("NFLOG packets", 500_000) { _ = LoggedPacket(nflog: bytes[...], time: 0) }
    }

    @Test func conntrack() throws {
        let bytes = try ConntrackEntryTests.message()
        rate("conntrack events", 500_000) {
            for message in NetlinkMessages(bytes[...]) { _ = ConntrackEvent(message) }
        }
    }
}
