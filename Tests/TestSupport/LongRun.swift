internal import Glibc

/// `NSGD_LONG=1` (`scripts/test --long`): the tests that generate their cases generate many more.
package enum LongRun {
    /// How many times as many.
    package static let factor: Int = unsafe getenv("NSGD_LONG").map { unsafe strcmp($0, "1") == 0 } ?? false ? 50 : 1
}
