import CShims

/// Memory of the heap that nothing uses any more.
package enum UnusedMemory {
    /// Gives it back to the kernel (`malloc_trim`), which the C library does by itself only at the heap's end. Some
    /// milliseconds; worth it after work that took much more than what stays.
    package static func release() { nsgd_release_unused_memory() }
}
