import Glibc
import NSGConfig
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

    @Test("a document is read again after any change, and while it is too new to tell")
    func readsWhatChanged() throws {
        try Self.withFolder { folder in
            try Files.createFolder("\(folder)/policy.d")
            let (one, two) = ("\(folder)/policy.d/1.json", "\(folder)/policy.d/2.json")
            try Files.write(one, Array("{}".utf8))
            try Files.write(two, Array("[]".utf8))
            var files = KnownFiles()
            /// Names of the documents that were read.
            func read(after seconds: UInt64) throws -> [String] {
                let now = Clock.sinceEpoch + seconds * 1_000_000_000
                return try ConfigurationFolder.read(folder, serviceTags: nil, noting: &files, at: now).policies
                    .filter { !$0.isUnread }.map(\.name)
            }
            let both = ["policy.d/1.json", "policy.d/2.json"]
            let (new, again, first, known) = (
                try read(after: 0), try read(after: 0), try read(after: 10), try read(after: 10)
            )
            #expect(new == both && again == both && first == both && known == [])
            // Of another size; by another file; and gone.
            try Files.write(one, Array("[ ]".utf8))
            let written = try read(after: 10)
            try Files.replace(two, with: Array("{}".utf8))
            let replaced = try read(after: 10)
            try Files.remove(one)
            let rest = try read(after: 10)
            #expect(written == ["policy.d/1.json"] && replaced == ["policy.d/2.json"] && rest == [])
        }
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

    @Test("states go to the service manager's socket; without one nothing happens. PITFALLS 52")
    func notification() throws {
        ServiceNotifier().ready(status: "nobody listens")
        #expect(ServiceNotifier().watchdogInterval == nil)
        let path = "/tmp/nsgd-notify-\(getpid())"
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(status == 0)
        unsafe setenv("NOTIFY_SOCKET", path, 1)
        defer {
            unsafe unsetenv("NOTIFY_SOCKET")
            unsafe unlink(path)
        }
        let received = {
            var bytes = [UInt8](repeating: 0, count: 1024)
            let count = unsafe recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
        }
        ServiceNotifier().ready(status: "3 NICs\nX=1")
        #expect(received() == "READY=1\nSTATUS=3 NICs X=1")
        let before = Clock.monotonic / 1000
        ServiceNotifier().reloading()
        let parts = received().split(separator: "=")
        #expect(parts.first == "RELOADING" && (parts.last.flatMap { UInt64($0) } ?? 0) >= before)
        ServiceNotifier().stopping()
        #expect(received() == "STOPPING=1")
    }

    @Test("clocks")
    func clocks() {
        let before = Clock.monotonic
        #expect(Clock.monotonic >= before && Clock.sinceEpoch > 1_700_000_000_000_000_000)
    }
}
