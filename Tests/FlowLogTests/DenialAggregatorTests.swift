import FlowLog
import NSGModel
import TestSupport
import Testing

@Suite("Refused packets of one flow (F4)")
struct DenialAggregatorTests {
    private func repeats(_ record: FlowRecord) -> Int {
        switch record.change {
        case .denied: 1
        case .deniedAgain(let count): count
        case .began, .continued, .ended: 0
        }
    }

    @Test("the first is written at once, the rest of its minute at the end")
    func folds() throws {
        var denials = DenialAggregator()
        #expect(try denials.add(Fixture.refused()) == [Fixture.refused()])
        for second in [1, 3, 7, 15, 31] as [UInt64] {
            #expect(try denials.add(Fixture.refused(at: Fixture.after(second))) == [])
        }
        #expect(denials.tick(now: Fixture.after(59)) == [])
        #expect(try denials.tick(now: Fixture.after(60)) == [Fixture.refused(.deniedAgain(5), at: Fixture.after(31))])
        #expect(denials.count == 0)
        #expect(try denials.add(Fixture.refused(at: Fixture.after(63))) == [Fixture.refused(at: Fixture.after(63))])
        #expect(denials.tick(now: Fixture.after(200)) == [])  // no repeats, no record
    }

    @Test("without a tick, the next packet ends the minute before it")
    func endsByItself() throws {
        var denials = DenialAggregator()
        _ = denials.add(try Fixture.refused())
        _ = denials.add(try Fixture.refused(at: Fixture.after(2)))
        let later = try Fixture.refused(at: Fixture.after(60))
        #expect(try denials.add(later) == [Fixture.refused(.deniedAgain(1), at: Fixture.after(2)), later])
    }

    @Test("another rule, another record")
    func otherRule() throws {
        var denials = DenialAggregator()
        _ = denials.add(try Fixture.refused())
        _ = denials.add(try Fixture.refused(at: Fixture.after(1)))
        var other = try Fixture.refused(at: Fixture.after(2))
        other.facts.stages = [Fixture.stage(.subnet, "no-ssh", .deny)]
        #expect(try denials.add(other) == [Fixture.refused(.deniedAgain(1), at: Fixture.after(1)), other])
        #expect(denials.count == 1)
    }

    @Test("what was allowed passes through")
    func allowed() throws {
        var denials = DenialAggregator()
        #expect(try denials.add(Fixture.web(.began)) == [Fixture.web(.began)])
        #expect(try denials.add(Fixture.web(.began)) == [Fixture.web(.began)])
        #expect(denials.count == 0)
    }

    @Test("when the clock is set back, windows do not stay open")
    func clockSetBack() throws {
        var denials = DenialAggregator()
        _ = denials.add(try Fixture.refused(at: Fixture.after(100_000)))
        _ = denials.add(try Fixture.refused(at: Fixture.after(100_001)))
        #expect(denials.tick(now: Fixture.time).map(repeats) == [1])
    }

    @Test("every packet is counted once and the table is bounded, in a flood too", arguments: UInt64(0)..<24)
    func countsAgree(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let capacity = Int.random(in: 1...40, using: &random)
        let ports = UInt16.random(in: 1...80, using: &random)
        var denials = DenialAggregator(capacity: capacity)
        var packets: [UInt16: Int] = [:]
        var written: [UInt16: Int] = [:]
        var firsts: [UInt16: Timestamp] = [:]
        var early = 0
        var largest = 0
        func write(_ records: [FlowRecord]) {
            for record in records {
                guard let port = record.flow.sourcePort else { continue }
                written[port, default: 0] += repeats(record)
                guard record.change == .denied else { continue }
                // Only a full table opens a second window within a minute.
                if let first = firsts[port], record.time < first.adding(seconds: 60) { early += 1 }
                firsts[port] = record.time
            }
        }
        var time = Fixture.time
        for _ in 0..<1500 {
            let port = UInt16.random(in: 1...ports, using: &random)
            packets[port, default: 0] += 1
            write(denials.add(try Fixture.refused(at: time, sourcePort: port)))
            largest = max(largest, denials.count)
            if UInt8.random(in: 0...9, using: &random) == 0 {
                time = time.adding(seconds: UInt64.random(in: 0...20, using: &random))
            }
            if UInt8.random(in: 0...20, using: &random) == 0 { write(denials.tick(now: time)) }
        }
        write(denials.flush())
        #expect(written == packets)
        #expect(denials.count == 0)
        #expect(largest <= capacity)
        #expect(early == 0 || ports > capacity)
    }
}
