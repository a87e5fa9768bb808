//! Workers: who holds a lease, and whether a holder on this machine is still alive.
//!
//! A lease ends by itself, but a person who runs a command again after a crash should not have to
//! wait for that. So an owner is named such that any process on the same machine can tell whether
//! the process that held the lease still exists. The fence keeps this safe even if it is wrong.

use std::time::Duration;

use catalog::LeaseRequest;
use model::Timestamp;

/// The process that does the work, and how long its leases last without renewal.
#[derive(Clone, Debug)]
pub struct Worker {
    /// `<machine id>/<boot id>/<pid namespace>/<pid>/<start time>`.
    pub owner: String,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How many packs of a copy make a part: one with more is shared with other servers of its region.
    pub part_packs: usize,
}

/// Some 4 GiB: it takes no one long to wait for the last one, and a small fraction of that to hand it out.
pub const PART_PACKS: usize = 128;

impl Worker {
    /// This process, with leases of `lease`.
    pub fn this_process(lease: Duration) -> Self {
        let pid = std::process::id();
        let start = start_time(pid).unwrap_or_default();
        Self { owner: format!("{}/{pid}/{start}", place()), lease, part_packs: PART_PACKS }
    }

    pub(crate) fn lease_request(&self) -> LeaseRequest {
        LeaseRequest { owner: self.owner.clone(), ttl: self.lease }
    }
}

/// Whether nobody is at work under a lease: it was given back, has run out, or belongs to a process that is known to be
/// dead.
pub(crate) fn is_free(owner: Option<&str>, expires_at: Timestamp, now: Timestamp) -> bool {
    owner.is_none_or(|owner| expires_at <= now || is_dead(owner))
}

/// Whether `owner` names a process of this machine that no longer exists.
pub(crate) fn is_dead(owner: &str) -> bool {
    let mut parts = owner.rsplitn(3, '/');
    let (Some(start), Some(pid), Some(there)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Ok(pid) = pid.parse() else { return false };
    let here = place();
    // A restarted machine has another boot id, and none of its old processes.
    let restarted =
        machine_of(there) == machine_of(&here) && !machine_of(&here).is_empty() && boot_of(there) != boot_of(&here);
    restarted || (there == here && start_time(pid).as_deref() != Some(start))
}

fn machine_of(place: &str) -> &str {
    place.split('/').next().unwrap_or_default()
}

fn boot_of(place: &str) -> &str {
    place.split('/').nth(1).unwrap_or_default()
}

/// Where process ids mean something: machine, boot, pid namespace.
fn place() -> String {
    let read = |path| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
    format!("{}/{}/{namespace}", read("/etc/machine-id"), read("/proc/sys/kernel/random/boot_id"))
}

/// When a process started, in clock ticks since boot: with the pid, unique per boot (proc(5), field 22).
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    let is_gone = matches!(fields.next(), Some("Z" | "X"));
    if is_gone { None } else { fields.nth(18).map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_is_dead_and_this_one_is_not() {
        let me = Worker::this_process(Duration::from_secs(1));
        assert!(!is_dead(&me.owner));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let owner = format!("{}/{}/{}", place(), child.id(), start_time(child.id()).unwrap_or("0".into()));
        child.wait().unwrap();
        assert!(is_dead(&owner));
    }

    #[test]
    fn an_owner_on_another_machine_is_never_called_dead() {
        assert!(!is_dead("elsewhere/boot/pid:[1]/1/1"));
        assert!(!is_dead("nonsense"));
    }
}
