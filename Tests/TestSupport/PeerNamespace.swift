internal import CShims
internal import Glibc

/// A network namespace beside the test's own, as a machine at the other end of a veth pair. Gone with the value.
package final class PeerNamespace {
    private let holder: Subprocess

    package init() throws {
        holder = try Subprocess(["unshare", "-n", "sleep", "600"])
        let process = holder.identifier
        let isReady = try eventually {
            try TestSupport.run(["readlink", "/proc/\(process)/ns/net"])
                != TestSupport.run(["readlink", "/proc/self/ns/net"])
        }
        guard isReady else {
            throw CommandFailure(command: ["unshare", "-n"], status: -1, output: "no namespace came")
        }
        try run(["ip", "link", "set", "lo", "up"])
    }

    /// Runs a program inside.
    @discardableResult
    package func run(_ arguments: [String], input: String? = nil) throws -> String {
        try TestSupport.run(["nsenter", "-t", "\(holder.identifier)", "-n"] + arguments, input: input)
    }

    /// A process inside, for `ip link … netns`.
    package var process: Int32 { holder.identifier }

    /// Does something with this thread inside the namespace; a socket stays where it was opened.
    package func inside<Result>(_ body: () throws -> Result) throws -> Result {
        try withinNetworkNamespace(at: "/proc/\(holder.identifier)/ns/net", body)
    }

    /// Makes a veth pair: `name` here with `address`, `eth0` inside with `peer`; both with their prefix length. The
    /// peer's default route leads here.
    package func connect(_ name: String, address: String, peer: String) throws {
        try TestSupport.run([
            "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", "\(holder.identifier)",
        ])
        try TestSupport.run(["ip", "addr", "add", address, "dev", name])
        try TestSupport.run(["ip", "link", "set", name, "up"])
        try run(["ip", "addr", "add", peer, "dev", "eth0"])
        try run(["ip", "link", "set", "eth0", "up"])
        try run(["ip", "route", "add", "default", "via", String(address.prefix { $0 != "/" })])
    }
}

/// Does something with this thread inside a network namespace; a socket stays where it was opened.
package func withinNetworkNamespace<Result>(at path: String, _ body: () throws -> Result) throws -> Result {
    let own = unsafe open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    let other = unsafe open(path, O_RDONLY | O_CLOEXEC)
    defer {
        close(own)
        close(other)
    }
    guard nsgd_enter_network_namespace(other) == 0 else {
        throw CommandFailure(command: ["setns", path], status: errno, output: "cannot enter the namespace")
    }
    defer { if nsgd_enter_network_namespace(own) != 0 { fatalError("cannot leave another network namespace") } }
    return try body()
}
