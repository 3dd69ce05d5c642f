internal import CShims
internal import Glibc

/// A command that did not end with status 0.
package struct CommandFailure: Error, CustomStringConvertible {
    package var command: [String]
    package var status: Int32
    package var output: String

    package init(command: [String], status: Int32, output: String) {
        self.command = command
        self.status = status
        self.output = output
    }

    package var description: String { "`\(command.joined(separator: " "))` ended with \(status): \(output)" }
}

/// Runs a program (looked up in PATH) to its end and gives what it wrote to standard output and standard error,
/// together.
@discardableResult
package func run(_ arguments: [String], input: String? = nil) throws -> String {
    let process = try Subprocess(arguments, readsInput: input != nil)
    if let input { process.write(input) }
    let (output, status) = process.finish()
    guard status == 0 else { throw CommandFailure(command: arguments, status: status, output: output) }
    return output
}

/// A program running beside the test. `stop` it, or let it `finish`.
package final class Subprocess {
    private let process: pid_t

    /// Its process id.
    package var identifier: Int32 { process }

    private let output: Int32
    private var input: Int32 = -1
    private var hasEnded = false
    /// What `readLine` has read beyond the line it gave.
    private var unread: [UInt8] = []

    package init(_ arguments: [String], readsInput: Bool = false) throws {
        var outward: [Int32] = [-1, -1]
        var inward: [Int32] = [-1, -1]
        guard unsafe pipe(&outward) == 0, unsafe pipe(&inward) == 0 else {
            throw CommandFailure(command: arguments, status: errno, output: "pipe")
        }
        for end in outward + inward { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, inward[0], 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, outward[1], 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, outward[1], 2)
        var pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe pointers.forEach { unsafe free($0) } }
        // Threads of Dispatch block all signals, and children would inherit that.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var identifier: pid_t = 0
        let status = unsafe posix_spawnp(&identifier, arguments[0], &actions, &attributes, &pointers, environ)
        close(inward[0])
        close(outward[1])
        guard status == 0 else {
            close(inward[1])
            close(outward[0])
            throw CommandFailure(command: arguments, status: status, output: "cannot start")
        }
        process = identifier
        output = outward[0]
        if readsInput { input = inward[1] } else { close(inward[1]) }
    }

    package func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = unsafe Glibc.write(
                    input, bytes.baseAddress.map { unsafe $0 + offset }, bytes.count - offset)
                if count <= 0 { return }
                offset += count
            }
        }
    }

    package func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Closes its input, reads its output to the end and waits for it.
    package func finish() -> (output: String, status: Int32) {
        closeInput()
        var bytes = unread
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe read(output, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += chunk[..<count]
        }
        return (String(decoding: bytes, as: UTF8.self), wait())
    }

    /// The next line of its output, without the newline; nil at the end of it, or where none comes in time.
    package func readLine(within seconds: Double) -> String? {
        let isNewline = { (byte: UInt8) in byte == UInt8(ascii: "\n") }
        _ = eventually(within: seconds) {
            if unread.contains(where: isNewline) { return true }
            var descriptor = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&descriptor, 1, 50) > 0 else { return false }
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = unsafe read(output, &chunk, chunk.count)
            if count > 0 { unread += chunk[..<count] }
            return count == 0 || unread.contains(where: isNewline)
        }
        guard let end = unread.firstIndex(where: isNewline) else { return nil }
        defer { unread.removeFirst(end + 1) }
        return String(decoding: unread[..<end], as: UTF8.self)
    }

    /// Whether it still runs.
    package var isRunning: Bool {
        guard !hasEnded else { return false }
        var status: Int32 = 0
        if unsafe waitpid(process, &status, WNOHANG) == process { hasEnded = true }
        return !hasEnded
    }

    /// Asks it to end; false where it has not within the time.
    package func end(with signal: Int32 = SIGTERM, within seconds: Double = 10) -> Bool {
        guard isRunning else { return true }
        kill(process, signal)
        return eventually(within: seconds) { !isRunning }
    }

    /// Ends it with SIGKILL.
    package func stop() {
        guard !hasEnded else { return }
        kill(process, SIGKILL)
        _ = wait()
    }

    private func wait() -> Int32 {
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        hasEnded = true
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
    }

    deinit {
        stop()
        if input >= 0 { close(input) }
        close(output)
    }
}

/// Whether the test runs in a network namespace made for it, as whoever made it says with `NSGD_KERNEL_TESTS=1`: it may
/// then change links, rules and conntrack.
package let isInTestNamespace: Bool = unsafe getenv("NSGD_KERNEL_TESTS").map { unsafe strcmp($0, "1") == 0 } ?? false

/// How many times slower than others this machine is, as whoever runs the tests says with `NSGD_SLOWNESS`: more than 1
/// where the processor is emulated. Time-outs grow by it, streams of packets become thinner, and of what is generated
/// there is less.
package let slowness = unsafe getenv("NSGD_SLOWNESS").map { max(1, unsafe atof($0)) } ?? 1

/// Of a test that does the same again and again, how often it does: fewer times on a slow machine.
package func rounds(_ count: Int, whereSlow few: Int) -> Range<Int> { 0..<(slowness > 1 ? few : count) }

/// Polls until `condition` holds; false when `seconds` have passed first, which are many, as tests share the processor.
/// On a slow machine they are more: see `slowness`.
package func eventually(within seconds: Double = 15, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = nsgd_clock_monotonic() + UInt64(seconds * slowness * 1e9)
    // In microseconds. Many conditions start a program, which would take the processor from what is waited for.
    var pause: UInt32 = 5000
    while true {
        if try condition() { return true }
        if nsgd_clock_monotonic() > deadline { return false }
        usleep(pause)
        pause = min(pause + pause / 2, 40_000)
    }
}
