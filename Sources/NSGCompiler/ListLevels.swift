/// The kernel takes 15 levels of chains and counts every `goto` (`NFT_JUMP_STACK_SIZE`). Before the lists of an
/// interface come the base chain, its trampoline, the judging chain and the interface's; between admin rules and
/// security groups two more.
struct ListLevels {
    let admin: Int
    let groups: Int

    init(hasAdminLists: Bool) {
        admin = 4
        groups = hasAdminLists ? 15 - 4 - admin - 2 : 15 - 4
    }
}
