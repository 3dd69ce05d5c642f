/// The interface `io.nsgd.Control`: its text, and what each method may do.
package enum ControlInterface {
    package static let name = "io.nsgd.Control"

    /// What a method may do to the host.
    package enum Access: Hashable, Sendable {
        case read
        case change
    }

    package enum Method: String, Hashable, Sendable, CaseIterable {
        case status = "Status"
        case check = "Check"
        case compile = "Compile"
        case verify = "Verify"
        case verifyBatch = "VerifyBatch"
        case reload = "Reload"
        case metrics = "Metrics"
        case log = "Log"
        case verifyLog = "VerifyLog"
        case capture = "Capture"
        case flows = "Flows"
        case endFlows = "EndFlows"
        case traffic = "Traffic"
        case flush = "Flush"
        case updateServiceTags = "UpdateServiceTags"
        case showServiceTag = "ShowServiceTag"
        case lookUpServiceTags = "LookUpServiceTags"
        case ping = "Ping"

        /// With the interface.
        package var qualifiedName: String { "\(ControlInterface.name).\(rawValue)" }

        package var access: Access {
            switch self {
            case .status, .metrics, .check, .compile, .verify, .verifyBatch, .log, .verifyLog, .flows, .traffic,
                .showServiceTag,
                .lookUpServiceTags, .ping:
                .read
            // A capture changes nothing, but hands out what others have sent.
            case .reload, .flush, .endFlows, .updateServiceTags, .capture: .change
            }
        }
    }

    package enum Failure: String, Hashable, Sendable, CaseIterable {
        case configurationFaulty = "ConfigurationFaulty"
        case kernelRefused = "KernelRefused"
        case busy = "Busy"
        case notFound = "NotFound"
        case badQuery = "BadQuery"

        /// With the interface.
        package var qualifiedName: String { "\(ControlInterface.name).\(rawValue)" }
    }

    package static let definition: VarlinkInterface = {
        guard let definition = VarlinkInterface(parsing: text) else { preconditionFailure("io.nsgd.Control") }
        return definition
    }()

    /// Equal to `io.nsgd.Control.varlink` beside this file, which is what other programs read.
    package static let text = #"""
        # Control of nsgd, which enforces Azure network security groups on this host. Times are RFC 3339.
        interface io.nsgd.Control

        # A fault in a document. A path is like networkSecurityGroups[0].properties.securityRules[3].properties.priority.
        type Fault (
          file: string,
          line: int,
          path: string,
          code: string,
          message: string,
          remedy: string
        )

        # A network interface of the policy that this host enforces.
        type Binding (
          nic: string,
          interface: string,
          attachment: (host, guest),
          present: bool,
          networkSecurityGroups: []string,
          enforcedSince: ?string
        )

        # First packets that the kernel decided since the start of the daemon, and how many of them reached the flow log.
        type Decisions (total: int, logged: int)

        # What could not be recorded, since the start of the daemon. Lost conntrack events are made good by a dump each time.
        type Losses (conntrackEvents: int, packetCopies: int, logRecords: int)

        # Packets that were dropped without a rule being asked, since the counter was made: of a network interface by direction where it has
        # counters of its own.
        type Dropped (
          reason: string,
          nic: ?string,
          direction: ?(Inbound, Outbound),
          packets: int
        )

        # Connections in the kernel's table, and how many it holds at most.
        type Conntrack (connections: int, limit: int)

        # Changes of our tables that others made.
        type Drift (lastAudit: ?string, found: int, healed: int)

        type LastReload (at: string, result: string, message: string)

        type HostStatus (
          version: string,
          startedAt: string,
          enforcedSince: ?string,
          bindings: []Binding,
          flows: int,
          flowsEnded: int,
          decisions: Decisions,
          losses: Losses,
          dropped: []Dropped,
          conntrack: ?Conntrack,
          drift: Drift,
          lastReload: ?LastReload,
          problems: []string
        )

        # Names its network interface by nic, or by vm where that has one. An endpoint is IP:PORT, [IPv6]:PORT, IP:*, or, for a
        # protocol without ports, IP.
        type VerifyQuery (
          nic: ?string,
          vm: ?string,
          direction: string,
          protocol: string,
          local: string,
          remote: string
        )

        # One security group or list of admin rules; file is FILE:LINE of a rule that is not a default one. Where no admin rule
        # matched, ruleName is empty and there is no priority.
        type VerifyStage (
          level: (admin, subnet, nic),
          networkSecurityGroup: string,
          ruleName: string,
          priority: ?int,
          access: (Allow, Deny, AlwaysAllow),
          file: ?string
        )

        # platform: passes whatever the rules say. reason: why the packet is dropped whatever they say; then no rule is named.
        # note: what else to know.
        type VerifyAnswer (
          access: (Allow, Deny),
          ruleName: string,
          ruleId: string,
          stages: []VerifyStage,
          platform: ?bool,
          reason: ?string,
          note: ?string,
          explanation: ?object
        )

        type ReloadOutcome (result: (applied, unchanged), message: string, notes: []string)

        # What an update of the file of service tags changed. Names of tags, and how many prefixes they gained and lost; inUse are those of
        # them that rules name. applied: in the kernel; unchanged: no set in the kernel is another one; stored: nothing is enforced.
        # messages: operations sent to the kernel, of which one may add all elements of a set.
        type ServiceTagUpdate (
          result: (applied, unchanged, stored),
          previousChangeNumber: ?int,
          changeNumber: ?int,
          cloud: string,
          added: []string,
          removed: []string,
          changed: []string,
          prefixesAdded: int,
          prefixesRemoved: int,
          inUse: []string,
          messages: int,
          warnings: []string
        )

        # What a tag stands for; virtualNetwork is an id, for VirtualNetwork alone, which means something else in each network.
        type ServiceTagExpansion (virtualNetwork: ?string, prefixes: []string)

        # A rule that names a tag; file is FILE:LINE.
        type ServiceTagRule (
          owner: string,
          ruleName: string,
          direction: (Inbound, Outbound),
          access: (Allow, Deny, AlwaysAllow),
          sides: [](source, destination),
          file: ?string
        )

        # kind: of Microsoft's file, of serviceTags in nsgd.json, or computed by Azure from the networks and settings.
        type ServiceTagDetails (
          name: string,
          kind: (file, setting, computed),
          changeNumber: ?int,
          fileChangeNumber: ?int,
          networkFeatures: ?[]string,
          expansions: []ServiceTagExpansion,
          rules: []ServiceTagRule
        )

        # A tag that holds an address, by the most specific prefix of it that does.
        type ServiceTagMatch (name: string, kind: (file, setting, computed), prefix: string, virtualNetwork: ?string)

        # One of the kernel's counters of decisions, held against the flow log since a moment: counted is recorded + missing - excess +
        # onTheWay. Without a rule it counts what the platform decided, or what every list allowed. recorded: decisions that records
        # tell of, those of them that wait to be written included; missing: decisions that gaps declare; excess: records that name the
        # rule though another was counted, as the policy changed in between; onTheWay: decisions not heard of yet.
        type LogProofLine (
          counter: string,
          networkSecurityGroup: ?string,
          ruleCollection: ?string,
          rule: ?string,
          direction: ?string,
          access: (Allow, Deny),
          since: string,
          counted: int,
          recorded: int,
          waiting: int,
          missing: int,
          excess: int,
          onTheWay: int
        )

        # Which packets to capture: those about which one decision at a network interface has all that is given. nic: name or id. rule: NAME,
        # GROUP/NAME, securityRules/NAME or an id, of a rule that allowed the packet or of the one that refused it; of a packet that was
        # refused, only the interface that did counts. access: Allow or Deny. protocol: a name or a number.
        type CaptureFilter (nic: ?string, rule: ?string, access: ?string, protocol: ?string)

        # nanoseconds: since 1970. bytes: the beginning of the packet from its IP header on, in base64; length: bytes of all of it.
        # decisions: what flows.jsonl says of it, an object for each network interface.
        type CapturedPacket (nanoseconds: int, bytes: string, length: int, decisions: []object)

        # A stage that let a live connection in. derived: by the evaluator's word, since the kernel tells nothing. former: by a version of the
        # rule that is no longer in force.
        type FlowStage (
          level: (admin, subnet, nic),
          networkSecurityGroup: string,
          ruleName: string,
          priority: ?int,
          access: (Allow, Deny, AlwaysAllow),
          file: ?string,
          derived: ?bool,
          former: ?bool
        )

        # The interface and the rule that would refuse a connection's first packet today; reason where no rule does.
        type FlowRefusal (nic: string, direction: (Inbound, Outbound), stage: ?VerifyStage, reason: ?string)

        # A live connection at one network interface (none where it is bound no longer); flow is its id in the kernel, which comes again after
        # it. source opened it, and sent is what that side sent; destination is as rules see it, behind address translation;
        # originalDestination and translatedSource are there where translation changed the other view. state: of TCP as the kernel names it,
        # else REPLIED or UNREPLIED. uncounted: older than the kernel's accounting. age and timeout in seconds. adopted: older than the policy,
        # its stages are what the rules make of it now. platform: passed whatever the rules say.
        type LiveFlow (
          flow: int,
          nic: ?string,
          interface: ?string,
          direction: (Inbound, Outbound),
          protocol: string,
          source: string,
          sourcePort: ?int,
          destination: string,
          destinationPort: ?int,
          icmpType: ?int,
          originalDestination: ?string,
          originalDestinationPort: ?int,
          translatedSource: ?string,
          translatedSourcePort: ?int,
          state: string,
          packetsSent: ?int,
          bytesSent: ?int,
          packetsReceived: ?int,
          bytesReceived: ?int,
          uncounted: ?bool,
          started: ?string,
          age: ?int,
          timeout: ?int,
          stages: []FlowStage,
          adopted: ?bool,
          platform: ?bool,
          wouldNowDeny: ?FlowRefusal
        )

        # Members of a LiveFlow by which it is found again.
        type FlowIdentity (
          flow: int,
          protocol: string,
          source: string,
          sourcePort: ?int,
          destination: string,
          destinationPort: ?int,
          icmpType: ?int
        )

        # Flows, each once, however many interfaces it passed. Denied ones count by packets. talkers: pairs of addresses that were
        # allowed something; missing: decisions that the period's gaps declare.
        type TrafficTotals (allowed: int, denied: int, packets: int, bytes: int, talkers: int, missing: int)

        # Two addresses, of which source opened the flows; the names are those of machines or network interfaces.
        type Talker (
          source: string,
          destination: string,
          sourceName: string,
          destinationName: string,
          flowType: string,
          flows: int,
          denied: int,
          packets: int,
          bytes: int
        )

        # What a rule refused between two addresses; flows: packets. A port of 0 is none.
        type DeniedTraffic (
          source: string,
          destination: string,
          protocol: int,
          port: int,
          direction: (Inbound, Outbound),
          networkSecurityGroup: string,
          ruleName: string,
          flows: int,
          last: string
        )

        type PortTraffic (protocol: int, port: int, name: string, flows: int, denied: int, bytes: int)

        # hits: first packets in the kernel's counter of the rule, whatever the period. flows: those of the period that it was the last to
        # allow, or refused. A rule without priority is in the rows and not in force any more.
        type RuleTraffic (
          networkSecurityGroup: string,
          ruleName: string,
          type: string,
          direction: (Inbound, Outbound),
          access: (Allow, Deny, AlwaysAllow),
          priority: ?int,
          hits: ?int,
          flows: int,
          bytes: int
        )

        type TrafficPoint (start: string, allowed: int, denied: int, bytes: int)

        # step: seconds of a point; points without traffic are left out.
        type TrafficTimeline (step: int, points: []TrafficPoint)

        type DeniedCell (source: string, protocol: int, port: int, flows: int)

        # The sources by the ports that were refused most; sources and ports: how many there are in all.
        type DeniedMatrix (sources: int, ports: int, cells: []DeniedCell)

        # Decisions that are in no row.
        type TrafficGap (from: string, to: string, missing: int, reason: string, networkSecurityGroup: string, ruleName: string)

        # from, to: what the rows cover; they are of whole intervals. rules: most used first; neverFired: rules in force that no packet has
        # met. rowsLost: rows that could not be stored since the start of the daemon.
        type TrafficSummary (
          from: string,
          to: string,
          totals: TrafficTotals,
          talkers: []Talker,
          denied: []DeniedTraffic,
          ports: []PortTraffic,
          rules: []RuleTraffic,
          ruleCount: int,
          neverFired: []RuleTraffic,
          neverFiredCount: int,
          timeline: TrafficTimeline,
          deniedMatrix: DeniedMatrix,
          gaps: []TrafficGap,
          rowsLost: int
        )

        # What is enforced where, since when, and how it goes.
        method Status() -> (status: HostStatus)

        # The same in numbers, as text in the exposition format of Prometheus.
        method Metrics() -> (text: string)

        # Reads the documents in a directory, or those of the daemon, and changes nothing.
        method Check(directory: ?string) -> (faults: []Fault)

        # The ruleset that the documents of the daemon give, as nft prints it.
        method Compile(statistics: bool) -> (ruleset: string, statistics: ?object)

        # IP flow verify: what the policy in force decides about a packet.
        method Verify(query: VerifyQuery, explain: bool) -> (answer: VerifyAnswer)

        # As Verify, in order; an answer is a VerifyAnswer or {"error": string}.
        method VerifyBatch(queries: []VerifyQuery) -> (answers: []object)

        # Reads the documents again and enforces them.
        method Reload() -> (outcome: ReloadOutcome)

        # Flow records, oldest first: of those written already the last thousand, or, when called without more, the newest alone; no
        # record where there is none. With follow, those to come until the caller leaves; then it must be called with more.
        method Log(follow: bool, denied: ?bool, nic: ?string) -> (record: ?object)

        # Holds the flow log against the kernel's counters, rule by rule. What is missing and not declared by then is declared by this.
        method VerifyLog() -> (lines: []LogProofLine)

        # First packets as they are decided from now on, until there are so many, the time is over, or the caller leaves; to be called with
        # more. The first reply has no packet, and says that the capture runs. leftOut: packets so far that the caller was too slow for. Takes
        # the right to change the policy, since packets hold what others have sent.
        method Capture(filter: CaptureFilter, count: ?int, seconds: ?int) -> (packet: ?CapturedPacket, leftOut: int)

        # Live connections from the kernel's table, a reply for each of the bound interfaces one passes, at most limit of them; the last reply
        # has no flow, but how many connections and rows were found. nic: name or id. rule: name, securityRules/NAME or GROUP/NAME of a rule
        # that let it in. peer: address or prefix of the side that is not the nic. wouldNowDeny: those alone that the policy in force would
        # refuse. Must be called with more. While the table changes a connection may come twice.
        method Flows(
          nic: ?string,
          rule: ?string,
          peer: ?string,
          protocol: ?string,
          wouldNowDeny: ?bool,
          limit: ?int
        ) -> (flow: ?LiveFlow, connections: ?int, rows: ?int)

        # Ends live connections for good: no packet of either side goes on with them. Those that are chosen as in Flows, and of these, where
        # flows is given, only those. A connection that is opened anew is judged by the rules.
        method EndFlows(
          nic: ?string,
          rule: ?string,
          peer: ?string,
          protocol: ?string,
          wouldNowDeny: ?bool,
          flows: ?[]FlowIdentity
        ) -> (ended: int, problems: []string)

        # Traffic analytics since a time, of all network interfaces or of one (name or id). limit: of each list, 10 of at most 1000; points:
        # of the timeline at most; parts: what is wanted, all if it is left out.
        method Traffic(
          since: string,
          nic: ?string,
          limit: ?int,
          points: ?int,
          parts: ?[](talkers, denied, rules, ports, timeline, gaps)
        ) -> (traffic: TrafficSummary)

        # Replaces the file of service tags by another text of Microsoft's weekly file, or of the discovery API's answer, and enforces the
        # policy in force with it. A file that is faulty, or lacks a tag that a rule names, changes nothing. name: how faults call the file.
        # An empty text changes nothing, and tells by the absence of an error that the caller may send one.
        method UpdateServiceTags(text: string, name: ?string) -> (update: ?ServiceTagUpdate)

        # A tag as the policy in force uses it, in any case. merged: in the fewest prefixes.
        method ShowServiceTag(tag: string, merged: ?bool) -> (tag: ServiceTagDetails)

        # The tags that hold an address, the most specific prefix first.
        method LookUpServiceTags(address: string) -> (matches: []ServiceTagMatch)

        # Takes every rule of nsgd out of the kernel.
        method Flush() -> ()

        method Ping() -> ()

        error ConfigurationFaulty (faults: []Fault)

        # The kernel took nothing of the change; the policy before it is in force.
        error KernelRefused (message: string)

        # Another change is under way.
        error Busy ()

        error NotFound (what: string)

        error BadQuery (message: string)

        """#
}
