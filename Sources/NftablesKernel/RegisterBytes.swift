internal import NetworkTypes

/// Up to 16 bytes as they lie in a register, without an allocation.
struct RegisterBytes: Hashable, Sendable {
    /// The bytes as one number, the first of them the most significant.
    let value: UInt128
    /// 0...16
    let count: Int

    init(_ value: UInt128, count: Int) {
        precondition((0...16).contains(count), "wider than a register")
        self.value = count == 16 ? value : value & (UInt128(1) << UInt128(8 * count) - 1)
        self.count = count
    }

    /// The same bytes, the last of them first.
    var reversed: RegisterBytes {
        RegisterBytes(count == 0 ? 0 : value.byteSwapped >> UInt128(8 * (16 - count)), count: count)
    }

    subscript(index: Int) -> UInt8 { UInt8(truncatingIfNeeded: value >> UInt128(8 * (count - 1 - index))) }

    /// Hexadecimal.
    var text: String { (0..<count).map { hexadecimal(self[$0]) }.joined() }
}
