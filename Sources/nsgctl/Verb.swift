import ControlProtocol

/// A verb of the command line, with what `--help` says about it.
struct Verb: Sendable {
    var name: String
    var usage: String
    var summary: String
    var details: String
    var example: String
    /// Beyond those that every verb takes.
    var options: Set<String>
    var mostOperands = 0
    var run: @Sendable (Context) throws(CommandFailure) -> ExitStatus

    /// Taken by every verb.
    static let commonOptions: Set<String> = [
        "--config", "--state", "--logs", "--socket", "--output", "--help", "--version",
    ]

    static let all: [Verb] = [
        Verb(
            name: "status", usage: "status", summary: "what is enforced where, and how it goes",
            details: "Prints the interfaces with their security groups, flows, decisions, losses and the last reload.",
            example: "nsgctl status -o json", options: [], run: StatusVerb.run),
        Verb(
            name: "metrics", usage: "metrics", summary: "counters and gauges for Prometheus",
            details: """
                Prints what the daemon writes to the file that metrics.file in nsgd.json names, for the textfile collector of
                node_exporter: decisions by security group and rule, packets dropped, gaps of the flow log, flows, conntrack.
                """,
            example: "nsgctl metrics | promtool check metrics", options: [], run: MetricsVerb.run),
        Verb(
            name: "check", usage: "check [DIR]", summary: "validates documents",
            details:
                "Reports every fault of the documents in DIR (default: --config, \(Installation.configuration)) in one run, offline.",
            example: "nsgctl check ./config", options: [], mostOperands: 1, run: DocumentVerbs.check),
        Verb(
            name: "compile", usage: "compile [DIR] [--stats]", summary: "prints the nftables ruleset",
            details:
                "With DIR or --config, offline, what the documents there would load; else what the daemon has in force.",
            example: "nsgctl compile ./config --stats", options: ["--stats"], mostOperands: 1,
            run: DocumentVerbs.compile),
        Verb(
            name: "verify",
            usage:
                "verify --nic NIC|--vm VM --direction Inbound|Outbound --protocol P --local IP:PORT --remote IP:PORT",
            summary: "IP flow verify: would this packet pass, and by which rule",
            details: """
                Answers as Azure does. A port may be *, which only rules for all ports match; an IPv6 address with a port stands in
                brackets; protocols without ports take the bare IP. --explain adds every rule that was tried. --batch FILE (- for standard input) reads one JSON query a line and
                prints one answer a line. With --exit-code a Deny ends with status 3. With --config DIR it works offline.
                """,
            example:
                "nsgctl verify --nic web1 --direction Inbound --protocol TCP --local 10.1.0.4:80 --remote 203.0.113.9:*",
            options: [
                "--nic", "--vm", "--direction", "--protocol", "--local", "--remote", "--explain", "--batch",
                "--exit-code",
            ], run: VerifyVerb.run),
        Verb(
            name: "reload", usage: "reload", summary: "reads the documents again and enforces them",
            details: "Waits for the outcome. Documents with a fault are refused whole, and the policy in force stays.",
            example: "nsgctl reload", options: [], run: ChangeVerbs.reload),
        Verb(
            name: "service-tags",
            usage: "service-tags update FILE | show TAG [--merged] | lookup IP",
            summary: "service tags: takes Microsoft's file, shows what a tag stands for",
            details: """
                update FILE (- for standard input) takes Microsoft's weekly file, unchanged, or what the discovery API
                answers (az network list-service-tags). The policy in force is enforced with it; where the file has a
                fault, or lacks a tag that a rule names, nothing changes. An older file is taken, with a warning. With
                --config DIR or --state DIR it works without the daemon: the file is checked, with the documents in DIR
                where --config is given, and put into the state folder for the next load.
                show TAG prints the prefixes a tag stands for, VirtualNetwork once for each network, and the rules that
                name it; with --merged in the fewest prefixes. lookup IP prints every tag that holds an address, the most
                specific prefix first. With --config DIR or --state DIR both read the files.
                """,
            example: """
                nsgctl service-tags update ServiceTags_Public_20250127.json
                         az network list-service-tags -l westeurope | nsgctl service-tags update -
                         nsgctl service-tags show Storage.WestEurope -o tsv
                         nsgctl service-tags lookup 203.0.113.9
                """,
            options: ["--merged"], mostOperands: 2, run: ServiceTagsVerb.run),
        Verb(
            name: "flows",
            usage:
                "flows [end] [--nic NIC] [--rule RULE] [--peer IP|PREFIX] [--protocol P] [--would-now-deny] [--watch | --yes]",
            summary: "live connections with the rules that let them in; ends them",
            details: """
                Lists what the kernel tracks at the bound interfaces, a line for each interface that a connection passes. Packets
                and bytes are those of the side that opened it / of the other. RULE is a rule's name, or GROUP/RULE; the peer is the side that is
                not the NIC. --would-now-deny lists connections that live on although the present policy would refuse them.
                --limit N lists no more than N lines. --watch draws the list every two seconds, the busiest first.
                flows end ends the connections that the filters choose: it shows them and asks, unless --yes is given. No packet
                of either side goes on with them; a connection that is opened anew is judged by the rules.
                """,
            example: """
                nsgctl flows --nic web1 --peer 203.0.113.0/24
                         nsgctl flows --would-now-deny
                         nsgctl flows end --nic web1 --rule AllowSsh
                """,
            options: [
                "--nic", "--rule", "--peer", "--protocol", "--would-now-deny", "--limit", "--watch", "--yes",
            ], mostOperands: 1, run: FlowsVerb.run),
        Verb(
            name: "log", usage: "log [--follow] [--denied] [--nic NIC] | log verify",
            summary: "flow records, and whether all are there",
            details: """
                Prints the latest records as JSON Lines; with --follow it goes on with those that are written from now on.
                verify holds the log against the kernel's counters, rule by rule: what they count is what records tell of and
                what gaps declare missing. Where it may read the log folder (--logs DIR), it counts the lines itself, too. Status 3:
                the numbers do not agree.
                """,
            example: "nsgctl log --follow --denied --nic web1", options: ["--follow", "--denied", "--nic"],
            mostOperands: 1, run: LogVerb.run),
        Verb(
            name: "capture",
            usage:
                "capture [--nic NIC] [--rule RULE] [--verdict allow|deny] [--protocol P] [--count N] [--duration 30s] [--write FILE]",
            summary: "packets of decisions, to a pcapng file",
            details: """
                Takes the packets that are decided from now on: the first of each connection that is allowed, and all that are
                refused, 128 bytes of each at most. --write FILE (-w; - is standard output) writes them as pcapng, which
                Wireshark also reads while it grows, each with a comment that names the rules that decided; without it a line a
                packet is printed. RULE is NAME, GROUP/NAME or an id: of a rule that allowed the packet or of the one that
                refused it. It ends after N packets, with the time, or with Ctrl-C. It
                takes root or the group of administrators, since packets hold what others have sent.
                """,
            example: """
                nsgctl capture --nic web1 --verdict deny --duration 5min --write refused.pcapng
                         nsgctl capture --rule web/AllowHttp --write - | wireshark -k -i -
                """,
            options: [
                "--nic", "--rule", "--verdict", "--protocol", "--count", "--duration", "--write",
            ], run: CaptureVerb.run),
        Verb(
            name: "top", usage: "top [talkers|denied|rules|ports] [--since TIME] [--nic NIC] [--limit N] [--watch]",
            summary: "who talks, what is denied, which rules are used",
            details: """
                Traffic analytics: rows as Azure's, of ten minutes each, without the source port, kept on this host.
                --since is 30m, 1h (the default), 2d or a time such as 2026-11-20T14:03:02Z; the interval it lies in is
                shown whole. Flows count once, however many interfaces they pass; what is denied counts by packets. Hits
                are the kernel's count of first packets since a rule was loaded. --limit is the rows of each list, 5 or,
                of one list, 20. --watch draws a screen every two seconds, until Ctrl-C.
                """,
            example: """
                nsgctl top --watch
                         nsgctl top denied --since 1d --nic web1 -o tsv
                """,
            options: ["--since", "--nic", "--limit", "--watch"], mostOperands: 1, run: TopVerb.run),
        Verb(
            name: "report", usage: "report [--html FILE] [--since TIME] [--nic NIC] [--limit N]",
            summary: "traffic of a day, as tables or as a page with charts",
            details: """
                With --html (- for standard output) one page that needs nothing else: flows over time, top talkers, who was
                denied where, rules by hits with those that never fired, declared gaps. It replaces FILE in one step.
                Without, the lists of top. --since is 1d unless it is given.
                """,
            example: "nsgctl report --html traffic.html --since 7d",
            options: ["--html", "--since", "--nic", "--limit"], run: ReportVerb.run),
        Verb(
            name: "flush", usage: "flush", summary: "takes every rule out of the kernel",
            details: """
                Nothing is enforced from then on, until the next reload or start of the daemon. Where no daemon answers, nsgctl
                does it itself; that takes root.
                """,
            example: "nsgctl flush", options: [], run: ChangeVerbs.flush),
    ]

    var help: String {
        """
        nsgctl \(name): \(summary)

        Usage: nsgctl \(usage)

        \(details)

        Example: \(example)
        """
    }

    static var overview: String {
        let width = all.map(\.name.count).max() ?? 0
        let lines = all.map { verb in
            "  \(verb.name)\(String(repeating: " ", count: width - verb.name.count))  \(verb.summary)"
        }
        return """
            nsgctl controls nsgd, which enforces Azure network security groups on this host.

            Usage: nsgctl [OPTIONS] VERB …

            \(lines.joined(separator: "\n"))

            Options of every verb:
              --config DIR    work offline on documents laid out like \(Installation.configuration)
              --state DIR     of the daemon (default \(Installation.state)): holds the service tags
              --logs DIR      of the daemon (default \(Installation.logs)): holds the flow logs
              --socket PATH   control socket (default \(Installation.socket))
              -o table|json|tsv
              --help          of a verb: more about it, with an example

            Exit status: 0 done; 1 refused or faulty; 2 usage; 3 the answer is "no"; 4 the daemon can't be reached.
            """
    }
}
