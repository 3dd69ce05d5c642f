import Dispatch
import FlowLog
import NSGCompiler
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Nftables
import Synchronization
import SystemServices

/// What comes after a swap, and what keeps the kernel's table as the policy says while nobody asks for anything: the
/// sweep, the proof, audits, and devices that come and go.
extension Enforcer {
    /// How long others wait for a piece of a proof, but for the last set of it, in nanoseconds.
    private static let proofPiece: UInt64 = 5_000_000
    /// Two programs that fight over the table do not spin.
    private static let healPause: UInt64 = 1_000_000_000
    /// Before what could not be swept is swept again.
    private static let sweepPause: UInt64 = 10_000_000_000

    // MARK: Sweep

    func sweepLater(leavesSomething: Bool, after pause: UInt64 = PacketGrace.duration) {
        lastSwap = (Clock.monotonic, leavesSomething)
        executor.queue.asyncAfter(deadline: .now() + .nanoseconds(Int(pause))) { [self] in
            assumeIsolated { $0.finishSweep() }
        }
    }

    /// Waits out the grace of the last swap, if it has any left, and takes out what that swap replaced. The next swap
    /// needs the same wait, so it comes here first (KERNEL 2).
    func finishSweep() {
        guard let swap = lastSwap else { return }
        defer { proveLater() }
        PacketGrace.wait(since: swap.at)
        lastSwap = nil
        guard swap.leavesSomething else { return }
        guard let wanted = policy.withLock({ $0?.wanted }) else { return }
        do throws(KernelError) {
            _ = try enforcement.sweep(keeping: wanted)
            UnusedMemory.release()
        } catch {
            journal.log(.warning, "what is no longer used stays for now: \(error)", id: "sweep")
            sweepLater(leavesSomething: true, after: Self.sweepPause)
        }
    }

    // MARK: Interfaces and drift

    /// Rules name devices, so that these may come and go; only addresses that documents leave to the device change the
    /// policy.
    func linksChanged(_ table: LinkTable) {
        let before = deviceAddresses
        links = table
        reportUnfitDevices()
        guard let present = policy.withLock({ $0 }), before != deviceAddresses,
            present.configuration.estate.hasAddressesFromDevices,
            let policy = compiled(present.configuration), policy.wanted != present.wanted
        else { return }
        record(enforce(policy, nil))
    }

    /// A device that became what cannot be enforced on after the documents were read.
    private func reportUnfitDevices() {
        for fault in policy.withLock({ $0.map { links.faults(of: $0.estate.bindings) } }) ?? [] {
            journal.log(.error, fault.message, id: fault.message, fields: [("NSGD_PATH", "\(fault.path)")])
        }
    }

    /// Somebody else changed our table: looked at and healed at once, unless it was just now.
    func tableTouched() {
        // Events that were lost among those of our own commits are no change.
        guard policy.withLock({ $0 }) != nil, !enforcement.isCurrent else { return }
        let now = Clock.monotonic
        guard now - lastTouch >= Self.healPause else {
            return auditLater()
        }
        audit()
    }

    private func auditLater() {
        guard !isAuditDue else { return }
        isAuditDue = true
        executor.queue.asyncAfter(deadline: .now() + .nanoseconds(Int(Self.healPause))) { [self] in
            assumeIsolated { $0.audit() }
        }
    }

    /// Reads back what was too much to be read before it was said to be in force, piece by piece: whatever is asked for
    /// meanwhile comes in between.
    func proveLater() {
        guard enforcement.owesProof, !isProving else { return }
        isProving = true
        executor.queue.async { [self] in assumeIsolated { $0.prove() } }
    }

    private func prove() {
        isProving = false
        // After the next sweep then.
        guard enforcement.owesProof, lastSwap == nil, policy.withLock({ $0 != nil }) else { return }
        let start = Clock.monotonic
        switch enforcement.prove(until: { Clock.monotonic - start > Self.proofPiece }) {
        case .unfinished: proveLater()
        case .equal:
            history.withLock {
                $0.noteAudit(at: Timestamp(nanoseconds: Clock.sinceEpoch), drifted: false, healed: false)
            }
            UnusedMemory.release()
        case .doubtful: audit()
        }
    }

    func scheduleAudit() {
        let seconds = policy.withLock { $0?.configuration.settings.drift.auditInterval.components.seconds } ?? 300
        let timer = DispatchSource.makeTimerSource(queue: executor.queue)
        timer.schedule(deadline: .now() + Double(max(seconds, 1)), repeating: Double(max(seconds, 1)))
        timer.setEventHandler { [self] in assumeIsolated { $0.audit() } }
        timer.activate()
        auditTimer = timer
    }

    /// Compares the kernel's table with the policy, and heals what differs (E6).
    private func audit() {
        isAuditDue = false
        lastTouch = Clock.monotonic
        guard let present = policy.withLock({ $0 }) else { return }
        finishSweep()
        // An audit looks, whatever is known.
        enforcement.distrust()
        let result = apply(present)
        let now = Timestamp(nanoseconds: Clock.sinceEpoch)
        switch result {
        case .success(let (summary, inForce)):
            policy.withLock { $0 = inForce }
            // What is only left to sweep was not anybody's hand.
            let drifted = summary.skeleton + summary.build + summary.swap > 0
            history.withLock { $0.noteAudit(at: now, drifted: drifted, healed: drifted) }
            if drifted {
                // With the sets their marks are gone.
                if let refusal = enforcement.cut(ended.cuts, table: FixedNames.table) {
                    journal.log(.error, "connections that were ended may begin anew: \(refusal)", id: "flush")
                }
                journal.log(.warning, "our table had been changed; it is as the policy says again", id: "drift")
            }
        case .failure(let failure):
            history.withLock { $0.noteAudit(at: now, drifted: true, healed: false) }
            journal.log(.error, "our table could not be checked, which is tried again: \(failure)", id: "drift")
            // Nothing else would say that it differs: other programs' commits, which it has lost against, end some
            // time.
            auditLater()
        }
    }
}
