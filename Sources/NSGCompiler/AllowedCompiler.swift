import NSGModel
import Nftables

/// The chain where every list has allowed: the connection gets its time-outs, is marked, and its first packet logged
/// (KERNEL 13). It keeps its name, as the chain of every interface names it.
struct AllowedCompiler {
    let book: PolicyBook
    let options: CompilerOptions

    /// Where nobody routes a connection is settled at once, so that it is also when a later policy has a router.
    /// - Parameter isAgain: on a further pass of one connection, whose label belongs to the first (KERNEL 4).
    func compile(isAgain: Bool, _ routers: Routers?, into builder: inout RulesetBuilder) -> ChainName {
        let counter = isAgain ? FixedNames.allowedAgainCounter : FixedNames.allowedCounter
        builder.add(counter)
        let label = routers == nil ? FlowLabel.decided | FlowLabel.settled : FlowLabel.decided
        var steps: [Step] = isAgain ? [] : [.setLabel(label)]
        steps.append(.counter(counter))
        steps += [options.packetCopy(isAgain ? .allowedAgain : .allowed)].compactMap(\.self) + [.verdict(.accept)]
        let rules = (isAgain ? [] : timeoutRules(into: &builder)) + (routers?.settling ?? [])
        return builder.fixed(isAgain ? "allowed-again" : "allowed", rules + [Rule(steps)])
    }

    /// `flowTimeoutInMinutes` of the networks at both ends; the last that is set wins, so the shortest comes last (S6,
    /// KERNEL 16). Objects have no effect on protocols other than their own.
    private func timeoutRules(into builder: inout RulesetBuilder) -> [Rule] {
        var devices: [Int: [Binding]] = [:]
        for binding in book.estate.bindings {
            guard let interface = book.estate.networkInterfaces[binding.networkInterface],
                let minutes = book.estate.virtualNetwork(of: interface)?.flowTimeoutMinutes
            else { continue }
            devices[minutes, default: []].append(binding)
        }
        return devices.sorted { $0.key > $1.key }.flatMap { minutes, bindings -> [Rule] in
            let objects = TimeoutObject.Transport.allCases.map { transport in
                TimeoutObject(
                    FixedNames.timeout(transport, minutes: minutes), transport: transport, seconds: UInt32(minutes * 60)
                )
            }
            for object in objects { builder.add(object) }
            let set = builder.devices("timeout-\(minutes)min", bindings)
            return [Field.inputDevice, .outputDevice].map { device in
                Rule([.lookup(device, in: set)] + objects.map { .setTimeout($0.name) })
            }
        }
    }
}

extension RulesetBuilder {
    /// The set of the devices of bindings.
    mutating func devices(_ name: String, _ bindings: [Binding]) -> SetName {
        set(
            "devices/\(name)", keyType: .deviceName, isInterval: false,
            bindings.map(\.device).sorted().map { SetElement(.device($0)) })
    }
}
