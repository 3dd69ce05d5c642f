import ControlProtocol

/// Where the daemon finds and puts things.
package struct DaemonOptions: Hashable, Sendable {
    package var configuration = Installation.configuration
    package var state = Installation.state
    package var logs = Installation.logs
    package var socket = Installation.socket
    package var showsHelp = false
    package var showsVersion = false

    package init() {}

    package struct Problem: Error, CustomStringConvertible {
        package var description: String
    }

    /// Reads `--name VALUE` and `--name=VALUE`.
    package init(arguments: [String]) throws(Problem) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            func value() throws(Problem) -> String {
                if parts.count == 2 { return String(parts[1]) }
                guard let next = rest.popFirst() else { throw Problem(description: "\(argument) needs a value") }
                return next
            }
            switch parts[0] {
            case "--config": configuration = try value()
            case "--state": state = try value()
            case "--logs": logs = try value()
            case "--socket": socket = try value()
            case "--help", "-h": showsHelp = true
            case "--version": showsVersion = true
            default: throw Problem(description: "unknown argument '\(argument)'; nsgd --help lists what there is")
            }
        }
    }

    package static let help = """
        nsgd enforces Azure network security groups on this host's interfaces.

        Usage: nsgd [--config DIR] [--state DIR] [--logs DIR] [--socket PATH]

          --config DIR   nsgd.json, policy.d/*.json and bindings.json (default /etc/nsgd)
          --state DIR    what must survive a restart (default /var/lib/nsgd)
          --logs DIR     flow logs (default /var/log/nsgd)
          --socket PATH  control socket (default /run/nsgd/control.sock)

        SIGHUP reads the documents again; SIGTERM stops and leaves the rules in force; `nsgctl flush` takes them out.

        Example: nsgd --config ./config --state ./state --logs ./logs --socket ./control.sock
        """
}
