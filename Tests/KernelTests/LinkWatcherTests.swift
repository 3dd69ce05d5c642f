import NetworkTypes
import SystemServices
import TestSupport
import Testing

/// Interfaces and addresses as they come, go and are renamed. D4.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct LinkWatcherTests {
    @Test("a veth pair's life")
    func life() throws {
        let tables = Gathered<LinkTable>()
        let watcher = try LinkWatcher { tables.append($0) }
        watcher.start()
        #expect(watcher.initial.byName["lo"]?.index == 1 && watcher.initial.byName["lo"]?.kind == nil)
        let isTold = eventually { tables.all.last == watcher.initial }
        #expect(isTold)

        try run([
            "ip", "link", "add", "nsgt-d", "address", "02:0d:3a:8a:51:8e", "type", "veth", "peer", "name", "nsgt-e",
        ])
        try run(["ip", "addr", "add", "10.79.0.1/24", "dev", "nsgt-d"])
        try run(["ip", "addr", "add", "fd79::1/64", "dev", "nsgt-d", "nodad"])
        try run(["ip", "link", "set", "nsgt-d", "up"])
        let isThere = eventually {
            guard let table = tables.all.last, let link = table.byName["nsgt-d"] else { return false }
            return link.isUp && table.addresses(of: "nsgt-d").count >= 2
        }
        #expect(isThere)
        let table = try #require(tables.all.last)
        let link = try #require(table.byName["nsgt-d"])
        #expect(link.kind == "veth" && link.hardwareAddress?.description == "020D3A8A518E" && link.master == nil)
        let first = try #require(table.addresses(of: "nsgt-d").first)
        #expect("\(first.address)" == "10.79.0.1" && "\(first.prefix)" == "10.79.0.0/24")
        #expect(table == (try LinkTable.list()))

        try run(["ip", "link", "add", "nsgt-br", "type", "bridge"])
        try run(["ip", "link", "set", "nsgt-e", "master", "nsgt-br"])
        let isPort = eventually {
            guard let table = tables.all.last, let port = table.byName["nsgt-e"] else { return false }
            return port.portKind == "bridge" && port.master.flatMap { table.byIndex[$0]?.kind } == "bridge"
        }
        #expect(isPort)
        // Leaving a bridge sends RTM_DELLINK of family AF_BRIDGE, which is not the end of the link.
        try run(["ip", "link", "set", "nsgt-e", "nomaster"])
        let hasLeft = eventually { tables.all.last?.byName["nsgt-e"].map { $0.master == nil } ?? false }
        #expect(hasLeft)

        try run(["ip", "link", "set", "nsgt-d", "down"])
        try run(["ip", "link", "set", "nsgt-d", "name", "nsgt-f"])
        let isRenamed = eventually { tables.all.last?.byName["nsgt-f"]?.index == link.index }
        #expect(isRenamed && tables.all.last?.byName["nsgt-d"] == nil)
        try run(["ip", "addr", "del", "10.79.0.1/24", "dev", "nsgt-f"])
        let isWithout = eventually { tables.all.last?.addresses(of: "nsgt-f").contains(first) == false }
        #expect(isWithout)
        try run(["ip", "link", "del", "nsgt-f"])
        try run(["ip", "link", "del", "nsgt-br"])
        let isGone = eventually { tables.all.last == watcher.initial }
        #expect(isGone)
        withExtendedLifetime(watcher) {}
    }

    @Test("after a loss the table is that of a new list. PITFALLS 37")
    func loss() throws {
        let tables = Gathered<LinkTable>()
        let watcher = try LinkWatcher { tables.append($0) }
        // Not started: the socket fills.
        try run(["ip", "link", "add", "nsgt-x", "type", "bridge"])
        defer { _ = try? run(["ip", "link", "del", "nsgt-x"]) }
        let addresses = (0..<3000).map { "10.80.\($0 / 250).\($0 % 250 + 1)/32" }
        let batch = { (verb: String, list: ArraySlice<String>) in
            list.map { "addr \(verb) \($0) dev nsgt-x\n" }.joined()
        }
        for _ in 0..<3 {
            try run(["ip", "-batch", "-"], input: batch("add", addresses[...]))
            try run(["ip", "-batch", "-"], input: batch("del", addresses[7...]))
            try run(["ip", "-batch", "-"], input: batch("del", addresses[..<7]))
        }
        try run(["ip", "-batch", "-"], input: batch("add", addresses[..<7]))
        watcher.start()
        let isRight = try eventually { try tables.all.last == LinkTable.list() }
        #expect(isRight && tables.all.last?.addresses(of: "nsgt-x").count == 7)
        // Or the socket did not fill, and this proves nothing.
        #expect(tables.all.count <= 3, "\(tables.all.count) tables")
        withExtendedLifetime(watcher) {}
    }

    @Test("neighbours of both families")
    func neighbours() throws {
        try run(["ip", "link", "add", "nsgt-n", "type", "bridge"])
        defer { _ = try? run(["ip", "link", "del", "nsgt-n"]) }
        try run(["ip", "link", "set", "nsgt-n", "up"])
        try run(["ip", "addr", "add", "10.81.0.1/24", "dev", "nsgt-n"])
        for address in ["10.81.0.9", "fe80::9"] {
            try run(["ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:09", "dev", "nsgt-n"])
        }
        let neighbours = try LinkTable.neighbours()
        for address in ["10.81.0.9", "fe80::9"] {
            let key = try #require(IPAddress(address))
            #expect(neighbours[key]?.description == "020000000009")
        }
    }
}
