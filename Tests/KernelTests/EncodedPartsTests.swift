import NetworkTypes
import Nftables
import Testing

@testable import NftablesKernel

/// The thread that encodes ahead (docs/architecture.md, section 4).
@Suite struct EncodedPartsTests {
    private static func parts() -> EncodedParts {
        let chains = (0..<64).map { Operation.addChain(ChainName("chain\($0)"), nil) }
        return EncodedParts(
            of: chains, table: "nsgd", tableFlags: 0, RuleHandles(), firstSequence: 1, limit: 512)
    }

    @Test("all parts come in order, and nil behind the last")
    func all() throws {
        let parts = Self.parts()
        defer { parts.abandon() }
        var operations = 0
        while let part = try parts.next() { operations += part.operations.count }
        #expect(operations == 64)
    }

    /// One that waits for ever is a thread less, and there are some 60.
    @Test("its thread ends when no more is wanted, whichever part was the last", arguments: 0...3)
    func abandoned(taken: Int) async throws {
        weak var alive: EncodedParts?
        do {
            let parts = Self.parts()
            alive = parts
            for _ in 0..<taken { _ = try parts.next() }
            parts.abandon()
        }
        for _ in 0..<500 where alive != nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(alive == nil)
    }
}
