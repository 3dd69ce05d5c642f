import Glibc

// bench-traffic serve ADDRESS TCP-PORT SINK-PORT STAMPED-PORT UDP-PORT,UDP-PORT,…
// bench-traffic send SERVER SOURCE-NETWORK (of 65,536 addresses)
//
// Then a command a line on standard input, and for each an answer on standard output: a line of JSON, `error` in it where it
// failed. Started by the parts of scripts/bench, one process a side.

let arguments = Array(CommandLine.arguments.dropFirst())
do {
    switch (arguments.first, arguments.count) {
    case ("serve", 6): try CommandLoop.run(TrafficServer(arguments: Array(arguments.dropFirst())))
    case ("send", 3): try CommandLoop.run(TrafficSender(arguments: Array(arguments.dropFirst())))
    default: throw TrafficError(description: "started by scripts/bench/run; see scripts/bench/traffic/main.swift")
    }
} catch {
    CommandLoop.say("{\"error\": \"\(error)\"}")
    exit(1)
}
