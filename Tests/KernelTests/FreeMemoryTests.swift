import Testing

@testable import NftablesKernel

/// What is read of the machine's memory and of limits of control groups (E1).
@Suite struct FreeMemoryTests {
    @Test("the machine's free memory, in bytes")
    func machine() {
        #expect(FreeMemory.machine("MemTotal:  4015524 kB\nMemAvailable:    2048 kB\nBuffers: 1 kB\n") == 2 << 20)
        for text in ["", "MemAvailable:", "MemAvailable: many kB", "MemAvailable: 9223372036854775807 kB"] {
            #expect(FreeMemory.machine(text) == nil, "\(text)")
        }
    }

    @Test(
        "a group and all above it, of version 2 alone; what is above a namespace's root cannot be read",
        arguments: [
            (
                "0::/system.slice/nsgd.service\n",
                ["/sys/fs/cgroup/system.slice/nsgd.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"]
            ),
            ("0::/\n", ["/sys/fs/cgroup"]), ("0::/../../a\n", ["/sys/fs/cgroup/a", "/sys/fs/cgroup"]),
            ("5:memory:/a\n1:name=systemd:/b\n0::/c\n", ["/sys/fs/cgroup/c", "/sys/fs/cgroup"]),
            ("5:memory:/a\n", []), ("", []),
        ] as [(String, [String])])
    func groups(text: String, folders: [String]) {
        #expect(FreeMemory.groups(text) == folders)
    }

    @Test(
        "what a group has left",
        arguments: [
            ("1000\n", "300\n", 700), ("1000\n", "1001\n", 0), ("max\n", "300\n", nil), ("", "", nil), ("1\n", "", nil),
            ("9223372036854775807\n", "-1\n", Int.max),
        ] as [(String, String, Int?)])
    func left(limit: String, current: String, bytes: Int?) {
        #expect(FreeMemory.left(limit: limit, current: current) == bytes)
    }
}
