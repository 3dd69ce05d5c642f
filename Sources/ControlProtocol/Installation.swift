/// What nsgd and nsgctl take for granted where no option says otherwise.
package enum Installation {
    /// Of the programs and of the control interface.
    package static let version = "0.1.0"

    /// `nsgd.json`, `policy.d/*.json` and `bindings.json`.
    package static let configuration = "/etc/nsgd"
    /// What must survive a restart, and Microsoft's file of service tags.
    package static let state = "/var/lib/nsgd"
    package static let logs = "/var/log/nsgd"
    package static let socket = "/run/nsgd/control.sock"

    /// Microsoft's weekly file, unchanged, in the state folder.
    package static let serviceTagsFile = "service-tags.json"
}
