package import FlowLog
package import JSONText
import NetworkTypes
import Nftables

/// How far the log has got, kept in the state folder: with it and the lines of `flows.jsonl` written since, a run that
/// follows a sudden end knows what is in the log, what is not, and what is left to be done (F3, F5).
///
/// Positions count the bytes of all lines ever written, files of the past included.
package struct LogCheckpoint: Hashable, Sendable {
    /// A file of lines, and the position at which it begins.
    package struct Segment: Hashable, Sendable {
        package var device: UInt64
        package var inode: UInt64
        package var start: UInt64

        package init(device: UInt64, inode: UInt64, start: UInt64) {
            self.device = device
            self.inode = inode
            self.start = start
        }
    }

    /// A moment at which what was due went to Azure's files: of the lines up to `position` the intervals that were over
    /// at `time`.
    package struct Flush: Hashable, Sendable {
        package var time: Timestamp
        package var position: UInt64

        package init(time: Timestamp, position: UInt64) {
            self.time = time
            self.position = position
        }

        /// Whether the record of a line is in Azure's files by then.
        /// - Parameter length: seconds of an interval.
        package func holds(_ time: Timestamp, at position: UInt64, length: UInt64) -> Bool {
            position < self.position
                && LogInterval(at: time, length: length)
                    .isElapsed(at: self.time, settling: LogInterval.settling)
        }
    }

    /// A flush that was begun. A block has been written if its file is longer than the block found it.
    package struct FlushUnderWay: Hashable, Sendable {
        package struct Block: Hashable, Sendable {
            package var path: String
            package var length: UInt64

            package init(path: String, length: UInt64) {
                self.path = path
                self.length = length
            }
        }

        package var flush: Flush
        package var blocks: [Block]

        package init(flush: Flush, blocks: [Block]) {
            self.flush = flush
            self.blocks = blocks
        }
    }

    /// The files of lines that are of interest, the present one last.
    package var segments: [Segment] = []
    /// What lines up to `accountedTo` come to.
    package var accounts: DecisionLedger.Accounts?
    package var accountedTo: UInt64 = 0
    package var flushed = Flush(time: Timestamp(nanoseconds: 0), position: 0)
    /// No line before tells of anything that was not in Azure's files at the last flush.
    package var pendingFrom: UInt64 = 0
    package var underWay: FlushUnderWay?
    /// From here on there is a C of every flow that had one at the last tick.
    package var totalsFrom: UInt64 = 0
    /// The run ended in order: everything is told of, and in all files.
    package var isFinal = false

    package init() {}

    /// Where a run that comes after has to begin to read.
    package var replayFrom: UInt64 { isFinal ? accountedTo : min(accountedTo, pendingFrom, totalsFrom) }

    /// Drops files that nobody will read again.
    package mutating func forgetSegments() {
        while segments.count > 1, segments[1].start <= replayFrom { segments.removeFirst() }
    }
}

// MARK: Text

extension LogCheckpoint {
    package var json: JSONValue {
        var members: [(String, JSONValue)] = [
            (
                "segments",
                JSONValue(
                    segments.map {
                        ["device": JSONValue($0.device), "inode": JSONValue($0.inode), "start": JSONValue($0.start)]
                    })
            ),
            ("accountedTo", JSONValue(accountedTo)), ("flushed", flushed.json), ("pendingFrom", JSONValue(pendingFrom)),
            ("totalsFrom", JSONValue(totalsFrom)), ("isFinal", JSONValue(isFinal)),
        ]
        if let underWay {
            members.append(
                (
                    "underWay",
                    [
                        "flush": underWay.flush.json,
                        "blocks": JSONValue(
                            underWay.blocks.map { ["path": JSONValue($0.path), "length": JSONValue($0.length)] }),
                    ]
                ))
        }
        if let accounts { members.append(("accounts", accounts.json)) }
        return JSONValue(object: members)
    }

    /// Nil where it is no text of ours.
    package init?(_ json: JSONValue) {
        guard let segments = json["segments"]?.array, let accountedTo = json["accountedTo"]?.position,
            let flushed = json["flushed"].flatMap(Flush.init), let pendingFrom = json["pendingFrom"]?.position,
            let totalsFrom = json["totalsFrom"]?.position
        else { return nil }
        self.segments = segments.compactMap { segment in
            guard let device = segment["device"]?.position, let inode = segment["inode"]?.position,
                let start = segment["start"]?.position
            else { return nil }
            return Segment(device: device, inode: inode, start: start)
        }
        self.accountedTo = accountedTo
        self.flushed = flushed
        self.pendingFrom = pendingFrom
        self.totalsFrom = totalsFrom
        isFinal = json["isFinal"]?.bool ?? false
        accounts = json["accounts"].flatMap(DecisionLedger.Accounts.init)
        if let underWay = json["underWay"], let flush = underWay["flush"].flatMap(Flush.init) {
            let blocks = (underWay["blocks"]?.array ?? []).compactMap { block -> FlushUnderWay.Block? in
                guard let path = block["path"]?.string, let length = block["length"]?.position else { return nil }
                return FlushUnderWay.Block(path: path, length: length)
            }
            self.underWay = FlushUnderWay(flush: flush, blocks: blocks)
        }
    }
}

extension LogCheckpoint.Flush {
    fileprivate var json: JSONValue { ["time": JSONValue(time.nanoseconds), "position": JSONValue(position)] }

    fileprivate init?(_ json: JSONValue) {
        guard let time = json["time"]?.position, let position = json["position"]?.position else { return nil }
        self.init(time: Timestamp(nanoseconds: time), position: position)
    }
}

extension DecisionLedger.Accounts {
    fileprivate var json: JSONValue {
        let counters = counters.sorted { $0.key < $1.key }.map { name, account in
            (
                name.description,
                JSONValue(
                    [
                        account.since.nanoseconds, account.baseline, account.recorded, account.declared, account.excess,
                    ].map { JSONValue($0) })
            )
        }
        return JSONValue(object: [
            ("time", JSONValue(time.nanoseconds)), ("counters", JSONValue(object: counters)),
        ])
    }

    fileprivate init?(_ json: JSONValue) {
        guard let time = json["time"]?.position, let members = json["counters"]?.object else { return nil }
        var counters: [CounterName: DecisionLedger.Account] = [:]
        for member in members {
            let numbers = (member.value.array ?? []).compactMap(\.position)
            guard numbers.count == 5 else { continue }
            var account = DecisionLedger.Account(since: Timestamp(nanoseconds: numbers[0]), baseline: numbers[1])
            (account.recorded, account.declared, account.excess) = (numbers[2], numbers[3], numbers[4])
            counters[CounterName(member.key)] = account
        }
        self.init(time: Timestamp(nanoseconds: time), counters: counters)
    }
}

extension JSONValue {
    fileprivate var position: UInt64? { number.flatMap { UInt64($0.text) } }
}
