import Nftables
import NftablesKernel

/// What maps of numbers take: cells as intervals and by hash.
enum CellBenchmark {
    private static let table = "cells"

    private static func map(_ count: Int, isInterval: Bool) -> NamedSet {
        let elements = (0..<count).map { number in
            let first = Classification.key(class: UInt32(number / 50), protocol: 6, port: UInt16(number % 50 * 100))
            return SetElement(.values(first...(first + (isInterval ? 40 << 16 : 0))), number: UInt32(number % 1000))
        }
        return NamedSet(
            SetName("cells"), keyType: isInterval ? Classification.rangeType : Classification.pointType,
            isInterval: isInterval, values: .numbers, elements: elements)
    }

    static func run(_ count: Int) throws {
        print("an element takes \(MemoryLayout<SetElement>.stride) bytes")
        let store = try KernelRulesetStore()
        for isInterval in [false, true] {
            print("\(count) \(isInterval ? "intervals" : "values")")
            let set = map(count, isInterval: isInterval)
            let operations: [Operation] = [.addTable, .addSet(set), .addElements(set.elements, to: set)]
            _ = try milliseconds("encode") { try SealedBatch.encoding(operations, table: table).bytes.count }
            _ = try milliseconds("commit") { try store.commitInParts(operations, table: table, expecting: nil) }
            let (present, _) = try milliseconds("read back") { try store.dump(table: table) }
            let isSame = milliseconds("compare") { present?.sets[set.name]?.isEquivalent(to: set) }
            let elements = present?.sets[set.name]?.elements ?? []
            print(isSame == true ? "equal" : "NOT EQUAL: \(elements.count), \(Set(elements).count) different")
            _ = try milliseconds("delete") { try store.commit([.deleteTable], table: table, expecting: nil) }
        }
    }
}
