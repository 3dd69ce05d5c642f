import JSONText
import NSGConfig
import NSGModel
import SystemServices

extension LinkTable {
    /// Bindings to devices that are there and cannot be enforced on: in the hooks of family inet, packets of a bridge's
    /// or VRF's port come from the master, and those of a macvlan by another way (E7, KERNEL 9, 10). A silent binding
    /// would be an open door.
    func faults(of bindings: [Binding]) -> [Fault] {
        bindings.compactMap { binding in
            guard let link = byName[binding.device], let reason = link.unfitness else { return nil }
            let path = JSONPath.root.appending("networkInterfaces").appending(binding.networkInterface.name)
            return Fault(
                file: "bindings.json", line: 0, path: path.appending("interface"), code: "UnsupportedDevice",
                message:
                    "\(binding.device) of \(binding.networkInterface.name) \(reason), where nothing could be enforced",
                remedy: "bind a device whose traffic is routed")
        }
    }
}

extension Link {
    fileprivate var unfitness: String? {
        switch (portKind, kind) {
        case ("bridge", _): "is a port of a bridge"
        case ("vrf", _): "belongs to a VRF"
        case (_, "macvlan"), (_, "macvtap"), (_, "ipvlan"): "is a \(kind ?? "macvlan")"
        default: nil
        }
    }
}
