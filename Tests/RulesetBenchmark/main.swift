// Times what bringing a large ruleset into force takes, step by step, in a network namespace made for it:
//     unshare -Urnm .build/release/RulesetBenchmark [interfaces [edits [paired]]]
// or, of so many elements of a map of numbers:
//     unshare -Urnm .build/release/RulesetBenchmark cells elements
// or what a tracker of so many connections costs, which needs no namespace:
//     .build/release/RulesetBenchmark flows [connections] [ipv6]

import CShims
import Glibc
import NSGEngine
import NetworkTypes
import Nftables
import NftablesKernel
import TestSupport

/// Of the process, in the kernel too: other processes do not count.
func processorTime() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

func milliseconds<Result>(_ what: String, _ body: () throws -> Result) rethrows -> Result {
    let start = (nsgd_clock_monotonic(), processorTime())
    let result = try body()
    let wall = Double(nsgd_clock_monotonic() - start.0) / 1e6
    let processor = Double(processorTime() - start.1) / 1e6
    print("\(what): \((wall * 100).rounded() / 100) ms, of them computing \((processor * 100).rounded() / 100)")
    return result
}

func meminfo(_ key: String) -> Int {
    guard let file = unsafe fopen("/proc/meminfo", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while unsafe fgets(&line, 256, file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text.hasPrefix(key) { return Int(text.split(separator: " ")[1]) ?? 0 }
    }
    return 0
}

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
if CommandLine.arguments.contains("cells") {
    try CellBenchmark.run(arguments.first ?? 100_000)
    exit(0)
}
if CommandLine.arguments.contains("flows") {
    try FlowBenchmark.run(arguments.first ?? 1_000_000, isIPv6: CommandLine.arguments.contains("ipv6"))
    exit(0)
}
var policy = LargeRuleset()
policy.interfaces = arguments.first ?? 5
let edits = arguments.dropFirst().first ?? 5
policy.arePaired = CommandLine.arguments.contains("paired")
let table = "nsgd"

let first = milliseconds("make the ruleset") { policy.ruleset }
print(
    "chains \(first.chains.count), rules \(first.chains.values.reduce(0) { $0 + $1.rules.count }), counters "
        + "\(first.counters.count), sets \(first.sets.count), elements "
        + "\(first.sets.values.reduce(0) { $0 + $1.elements.count })")
let store = try KernelRulesetStore()
let slab = meminfo("Slab:")
let available = meminfo("MemAvailable:")

let change = milliseconds("Change from nothing") { Change(from: nil, to: first) }
print(
    "skeleton \(change.skeleton.count), build \(change.build.count), swap \(change.swap.count), sweep \(change.sweep.count)"
)
_ = try milliseconds("encode") { try SealedBatch.encoding(change.build, table: table).bytes.count }
var generation = try store.generation()
generation = try milliseconds("skeleton") { try store.commit(change.skeleton, table: table, expecting: generation) }
let before = generation
generation = try milliseconds("build") { try store.commitInParts(change.build, table: table, expecting: generation) }
print("build took \(generation.number - before.number) transactions")
generation = try milliseconds("swap") { try store.commit(change.swap, table: table, expecting: generation) }
if !change.sweep.isEmpty {
    generation = try milliseconds("sweep") {
        try store.commitInParts(change.sweep, table: table, expecting: generation)
    }
}
print("slab +\(meminfo("Slab:") - slab) KiB, available \(meminfo("MemAvailable:") - available) KiB")
let dumped = try milliseconds("dump") { try store.dump(table: table) }
_ = milliseconds("Change from the same, dumped") { Change(from: dumped.ruleset, to: first) }
_ = milliseconds("Change from the same, shared") { Change(from: first, to: first) }

func now() -> UInt64 { processorTime() }
func text(_ values: [UInt64]) -> String { "\(Double(values.sorted()[values.count / 2]) / 1e6)" }

if edits > 0 {
    print("-- one rule changed, \(edits) times, medians of processor time")
    var times: [String: [UInt64]] = [:]
    var order: [String] = []
    func timed<Result>(_ what: String, _ body: () throws -> Result) rethrows -> Result {
        if times[what] == nil { order.append(what) }
        let start = now()
        defer { times[what, default: []].append(now() - start) }
        return try body()
    }
    for number in 0..<edits {
        policy.edited = [.init(list: number % 10, rule: 7 * number)]
        let wanted = policy.ruleset
        let present = try timed("dump") { try store.dump(table: table) }
        let change = timed("Change") { Change(from: present.ruleset, to: wanted) }
        var generation = present.generation
        if number == 0 {
            print(
                "skeleton \(change.skeleton.count), build \(change.build.count), swap \(change.swap.count), sweep \(change.sweep.count)"
            )
        }
        generation = try timed("build") {
            try store.commitInParts(change.build, table: table, expecting: generation)
        }
        generation = try timed("swap") { try store.commit(change.swap, table: table, expecting: generation) }
        _ = try timed("sweep") { try store.commitInParts(change.sweep, table: table, expecting: generation) }
    }
    for what in order { print("\(what): \(text(times[what] ?? [0])) ms") }
}
_ = try milliseconds("delete the table") { try store.commit([.deleteTable], table: table, expecting: nil) }

print("-- through Enforcement")
policy.edited = []
var enforcement = Enforcement(store: store)
let start = policy.ruleset
_ = try milliseconds("apply to nothing") { try enforcement.apply(start) }
_ = try milliseconds("sweep") { try enforcement.sweep(keeping: start) }
for number in 0..<edits {
    policy.edited = [.init(list: number % 10, rule: 7 * number)]
    let wanted = policy.ruleset
    _ = try milliseconds("one rule: apply") { try enforcement.apply(wanted) }
    _ = try milliseconds("one rule: sweep") { try enforcement.sweep(keeping: wanted) }
}
_ = try store.commit([.deleteTable], table: table, expecting: nil)

print("-- parts of the build")
let fresh = Change(from: nil, to: start)
for size in [1, 2, 4, 8] {
    store.partLimit = size << 20
    var generation = try store.commit(fresh.skeleton, table: table, expecting: nil)
    generation = try milliseconds("build in parts of \(size) MiB") {
        try store.commitInParts(fresh.build, table: table, expecting: generation)
    }
    _ = try store.commit([.deleteTable], table: table, expecting: nil)
}
