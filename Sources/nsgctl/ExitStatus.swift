/// What every verb ends with (K3).
enum ExitStatus: Int32 {
    case done = 0
    /// Refused or faulty.
    case refused = 1
    case usage = 2
    /// The answer is "no".
    case no = 3
    case unreachable = 4
}
