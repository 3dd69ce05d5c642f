extension Change {
    /// What the kernel takes to hold what is added, in bytes, with room for a transaction, and the set or chain that
    /// takes most of it. By measurement on Linux 6.18 (20,000 chains, 50,000 rules, 10,000 counters and 100,000
    /// intervals took 50 MB of slabs), rounded up.
    package var kernelMemory: (bytes: Int, largest: String?) {
        var bytes = 0
        var largest: (bytes: Int, what: String?) = (0, nil)
        for operations in [skeleton, build, swap, sweep] {
            for operation in operations {
                switch operation {
                case .addChain: bytes += 768
                case .addRule, .insertRule: bytes += 448
                case .addCounter: bytes += 448
                case .addSet: bytes += 1024
                case .addElements(let elements, let set):
                    let size = elements.count * (set.isInterval ? 256 : 128)
                    bytes += size
                    if size > largest.bytes { largest = (size, "\(set.kindText) \(set.name)") }
                default: break
                }
            }
        }
        return (bytes, largest.what)
    }
}
