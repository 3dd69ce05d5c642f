import CShims

/// Memory of the heap that nothing uses any more.
package enum UnusedMemory {
    /// For a process that now and then takes much more memory than it keeps, and calls `release` then. Before its first
    /// thread: each would get a heap of its own with holes of its own.
    package static func keepLittle() { nsgd_keep_heap_small() }

    /// Gives it back to the kernel (`malloc_trim`), which the C library does by itself only at the heap's end. Some
    /// milliseconds; worth it after work that took much more than what stays.
    package static func release() { nsgd_release_unused_memory() }
}
