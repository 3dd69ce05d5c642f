import JSONText
import NetworkTypes

// Text written as bytes, straight into the buffer it ends up in: a record is written for every decision, in up to three
// places, and strings for its parts would cost more than all the rest.
extension [UInt8] {
    mutating func append(decimal value: UInt64) {
        let start = count
        var rest = value
        repeat {
            append(UInt8(truncatingIfNeeded: 0x30 + rest % 10))
            rest /= 10
        } while rest > 0
        var (low, high) = (start, count - 1)
        while low < high {
            swapAt(low, high)
            low += 1
            high -= 1
        }
    }

    mutating func append(decimal value: some FixedWidthInteger & UnsignedInteger) { append(decimal: UInt64(value)) }

    /// With leading zeros up to `digits`.
    mutating func append(decimal value: UInt64, digits: Int) {
        var rest = value
        append(contentsOf: repeatElement(UInt8(ascii: "0"), count: digits))
        for index in stride(from: count - 1, through: count - digits, by: -1) {
            self[index] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        }
    }

    mutating func append(_ address: IPAddress) {
        switch address {
        case .v4(let address):
            append(decimal: address.value >> 24)
            append(UInt8(ascii: "."))
            append(decimal: address.value >> 16 & 0xff)
            append(UInt8(ascii: "."))
            append(decimal: address.value >> 8 & 0xff)
            append(UInt8(ascii: "."))
            append(decimal: address.value & 0xff)
        case .v6(let address): self += address.description.utf8
        }
    }

    /// In quotation marks, with JSON's escapes.
    mutating func append(jsonString text: String) {
        let start = count
        append(UInt8(ascii: "\""))
        self += text.utf8
        if self[(start + 1)...].contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5c || $0 == 0x7f }) {
            removeSubrange(start...)
            self += jsonString(text).utf8
        } else {
            append(UInt8(ascii: "\""))
        }
    }
}
