import Nftables

/// What the kernel's table holds, known without a look: what our own commits left in it, and the number that the
/// kernel's ruleset had after the last of them. Every commit of anybody moves that number, and a commit that expects
/// another one is refused; so as long as it stands, the table is as we left it (docs/decisions/0006).
struct TrustedTable {
    /// As it is once `sweep` has been carried out.
    var table: SettledTable
    var generation: Generation
    /// What the last swap left to take out.
    var sweep: [Operation] = []
    /// How far the reading of all of it has come, which is to prove that it is so.
    var proof: TableProof?
}
