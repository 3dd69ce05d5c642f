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
    package func run(_ arguments: [String]) throws -> String {
        try TestSupport.run(["nsenter", "-t", "\(holder.identifier)", "-n"] + arguments)
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
