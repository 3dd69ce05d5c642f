import FlowLog
import Glibc
import JSONText
import NSGModel
import NetworkTypes
import Testing

/// Flow logs that Azure has written. They are not part of the package: see `SampleTests` of the documents.
private enum Samples {
    static let folder: String = {
        if let named = unsafe getenv("NSGD_SAMPLES") { return unsafe String(cString: named) }
        let package = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(package)/../shared/azure/samples"
    }()

    static func isThere(_ name: String) -> Bool { unsafe access("\(folder)/\(name)", R_OK) == 0 }

    static func text(_ name: String) throws -> [UInt8] {
        let file = try unsafe #require(fopen("\(folder)/\(name)", "r"))
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = unsafe fread(&block, 1, block.count, file), count > 0 { bytes += block.prefix(count) }
        return bytes
    }
}

@Suite("Flow logs that Azure wrote are read, and written again byte for byte (F3)")
struct AzureSampleTests {
    @Test(
        "NSG flow log, version 1",
        .enabled(if: Samples.isThere("nsg-flow-log-v1.json"), "no samples in \(Samples.folder)"))
    func securityGroupLog() throws {
        let text = try Samples.text("nsg-flow-log-v1.json")
        let document = try JSONValue(parsing: text, dialect: .json)
        let records = try AzureFlowLogRecord.records(in: document)
        #expect(records.count == 19)
        var file: [UInt8] = []
        for (record, original) in zip(records, document["records"]?.array ?? []) {
            let blocks = try Self.written(record)
            let expected = original.text(style: .compact)
            if blocks.count == 1 {
                #expect(blocks[0].text == expected)
            } else {
                // Its minute is in two hours, which are two files here.
                #expect(
                    try blocks.flatMap { try JSONValue(parsing: $0.text, dialect: .json).flowTuples }
                        == original.flowTuples)
            }
            let write = try #require(
                BlockFile.append(
                    Array(expected.utf8), length: UInt64(file.count), tail: file.suffix(BlockFile.tailLength)))
            file.replaceSubrange(Int(write.offset)..., with: write.bytes)
        }
        #expect(file == text)
    }

    private static func written(_ record: AzureFlowLogRecord) throws -> [LogBlock] {
        guard case .securityGroup(_, let version, let systemID) = record.log else { return [] }
        var log = NSGFlowLogAggregator(
            settings: NSGFlowLogSettings(systemID: systemID, interval: 3600, byDefault: .enabled(version)))
        for flow in record.flows { _ = log.add(flow) }
        return log.flushAll(now: record.time)
    }

    @Test(
        "virtual network flow log, version 4",
        .enabled(if: Samples.isThere("vnet-flow-log-v4.json"), "no samples in \(Samples.folder)"))
    func virtualNetworkLog() throws {
        let document = try JSONValue(parsing: try Samples.text("vnet-flow-log-v4.json"), dialect: .json)
        let record = try #require(try AzureFlowLogRecord.records(in: document).first)
        guard case .virtualNetwork(let target) = record.log else { throw TestFailure() }
        var log = VNetFlowLogAggregator(
            settings: VNetFlowLogSettings(interval: 3600, resources: [target.target: .enabled(target)]))
        for flow in record.flows { _ = log.add(flow) }
        // The sample has been indented by whoever published it.
        #expect(log.flushAll(now: record.time).map(\.text) == [document.text(style: .compact)])
    }

    struct TestFailure: Error {}

    @Test("version 2: states, counters, refused flows; what is written is read")
    func versionTwo() throws {
        let counters = FlowCounters(packetsSent: 5, bytesSent: 1450, packetsReceived: 4, bytesReceived: .max)
        var log = NSGFlowLogAggregator(settings: NSGFlowLogSettings(systemID: UUID(named: "host")))
        for record in [
            try Fixture.web(.began), try Fixture.web(.continued(.counted(counters))),
            try Fixture.web(.ended(.counted(counters))), try Fixture.refused(),
        ] { _ = log.add(record) }
        for block in log.flushAll(now: Fixture.after(60)) {
            let read = try AzureFlowLogRecord.records(in: try JSONValue(parsing: block.text, dialect: .json))
            let again = try read.flatMap { record in
                guard case .securityGroup(_, let version, let systemID) = record.log else { throw TestFailure() }
                var log = NSGFlowLogAggregator(
                    settings: NSGFlowLogSettings(systemID: systemID, byDefault: .enabled(version)))
                for flow in record.flows { _ = log.add(flow) }
                return log.flushAll(now: record.time)
            }
            #expect(again.map { $0.text.lowercased() } == [block.text.lowercased()])
        }
    }

    @Test(
        "a tuple that is none is named by its place",
        arguments: [
            "", "1,10.0.0.1,10.0.0.2,1,2,T,O,A", "x,10.0.0.1,10.0.0.2,1,2,T,O,A,B,,,,",
            "1,10.0.0.1,10.0.0.2,1,70000,T,O,A,B,,,,", "1,10.0.0.1,10.0.0.2,1,2,X,O,A,B,,,,",
            "1,10.0.0.1,10.0.0.2,1,2,T,O,A,E,1,2,3,", "1,10.0.0.1,10.0.0.2,1,2,T,O,A,B,,,,,",
        ])
    func refuses(tuple: String) throws {
        let text = """
            {"records":[{"time":"2026-11-20T14:03:02.5Z","systemId":"\(UUID(named: "host"))","macAddress":"000D3A144D1C",
            "resourceId":"\(Fixture.webGroup)","properties":{"Version":2,"flows":[{"rule":"UserRule_web","flows":[
            {"mac":"000D3A144D1C","flowTuples":["\(tuple)"]}]}]}}]}
            """
        let document = try JSONValue(parsing: text, dialect: .json)
        let error = #expect(throws: AzureFlowLogError.self) { try AzureFlowLogRecord.records(in: document) }
        #expect(error?.path == "records[0].properties.flows[0].flows[0].flowTuples[0]")
    }
}
