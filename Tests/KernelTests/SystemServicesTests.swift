import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import SystemServices

@Suite struct FilesTests {
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/nsgd-test-\(getpid())-\(Clock.monotonic)"
        try Files.createFolder(folder, mode: 0o700)
        defer { _ = try? run(["rm", "-r", folder]) }
        try body(folder)
    }

    @Test("what is written is read, listed and replaced")
    func roundTrip() throws {
        try Self.withFolder { folder in
            try Files.createFolder("\(folder)/a/b", mode: 0o750)
            try Files.createFolder("\(folder)/a/b", mode: 0o750)
            #expect(try run(["stat", "-c", "%a", "\(folder)/a/b"]) == "750\n")
            for name in ["b.json", "a.json", ".hidden.json", "c.txt", "B.json"] {
                try Files.replace("\(folder)/\(name)", with: Array(name.utf8))
            }
            #expect(try Files.list(folder) == ["B.json", "a.json", "b.json"])
            #expect(try Files.read("\(folder)/a.json", limit: 6) == Array("a.json".utf8))
            try Files.replace("\(folder)/a.json", with: [])
            #expect(try Files.read("\(folder)/a.json", limit: 0) == [])
            #expect(try Files.list(folder, suffix: ".new") == [])
        }
    }

    @Test("errors name the path and the reason")
    func errors() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/x.json"
            try Files.replace(path, with: [1, 2, 3])
            let tooLong = #expect(throws: KernelError.self) { try Files.read(path, limit: 2) }
            #expect(tooLong?.errno == 27 && tooLong?.operation == "read \(path)")
            let absent = #expect(throws: KernelError.self) { try Files.read("\(folder)/y", limit: 2) }
            #expect(absent?.errno == 2)
            #expect(throws: KernelError.self) { try Files.read(folder, limit: 2) }
            try run(["mkfifo", "\(folder)/pipe"])
            #expect(throws: KernelError.self) { try Files.read("\(folder)/pipe", limit: 2) }
            #expect(throws: KernelError.self) { try Files.replace("\(folder)/none/x", with: []) }
            #expect(throws: KernelError.self) { try Files.createFolder("\(path)/below") }
            #expect(throws: KernelError.self) { try Files.list("\(folder)/none") }
        }
    }

    @Test("the kernel's files, which state no size")
    func kernelFiles() throws {
        #expect(try Files.read("/proc/self/status", limit: 1 << 16).count > 100)
    }
}

@Suite struct JournalTests {
    @Test("a message is admitted as often as its rate allows, and tells what it stands for. PITFALLS 53")
    func rate() {
        var limit = RateLimit(burst: 2, interval: 100)
        let answers = [0, 1, 2, 3, 99, 100, 101].map { limit.admit("a", at: $0) }
        #expect(answers == [0, 0, nil, nil, nil, 3, 0])
        let other = limit.admit("b", at: 3)
        #expect(other == 0)
        for index in 0..<5000 { _ = limit.admit("\(index)", at: 5) }
        let fresh = limit.admit("c", at: 6)
        #expect(fresh == 0)
    }

    @Test("a line stays a line")
    func line() {
        let text = Journal.line("nsgd", .warning, "lost\n3\u{1b}[2J", [("NSGD_NIC", "web1\n"), ("bad name", "x")])
        #expect(text == "nsgd: warning: lost 3 [2J NSGD_NIC=web1 \n")
        #expect(!Journal.isFieldName("_PID") && !Journal.isFieldName("") && Journal.isFieldName("NSGD_RULE"))
    }
}

@Suite struct ServiceTests {
    @Test("signals are events")
    func signals() throws {
        let seen = Gathered<SignalSource.Signal>()
        let source = try SignalSource { seen.append($0) }
        kill(getpid(), SIGHUP)
        let reloads = eventually { seen.all == [.reload] }
        #expect(reloads)
        kill(getpid(), SIGTERM)
        let ends = eventually { seen.all == [.reload, .terminate] }
        #expect(ends)
        withExtendedLifetime(source) {}
    }

    @Test("clocks")
    func clocks() {
        let before = Clock.monotonic
        #expect(Clock.monotonic >= before && Clock.sinceEpoch > 1_700_000_000_000_000_000)
    }
}
