//! Whole lives of backups, copies and packs beside gc, in random order, against a plain model: gc never takes
//! a pack that a backup, a running copy or a running backup needs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use catalog::{BackupSource, CatalogError, CatalogErrorKind as Kind, Fence, NewBackup, NewPack, Standing};
use model::{AccountId, BackupId, BackupState, ObjectName};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::{Fresh, HOUR, is_sqlite, lease, new_backup, pack, published};

const SLOTS: usize = 4;
const PACKS: u8 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A backup in an empty slot; a copy, if that is said.
    Start(usize, bool),
    /// What the worker of a slot's backup does, or one who has lost the lease to it.
    Work(usize, Work, bool),
    Claim(usize),
    /// Claims over a lease that has not run out: its owner is known to be dead.
    TakeOver(usize),
    BeginDelete(usize),
    FinishDelete(usize),
    PlaceHold(usize, bool),
    ReleaseHold(usize, bool),
    Doom,
    BeginPackDeletion(u8),
    ForgetPack(u8),
}

#[derive(Clone, Copy, Debug)]
enum Work {
    /// Announces a pack in one of two forms: sealed anew, it lies under another name.
    Intend(u8, bool),
    Land(u8),
    Hold(u8),
    KeepOnly(u8),
    Publish,
    Fail,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let (slot, number) = (|| 0..SLOTS, || 0..PACKS);
    let work = prop_oneof![
        6 => (number(), prop::bool::weighted(0.2)).prop_map(|(p, anew)| Work::Intend(p, anew)),
        6 => number().prop_map(Work::Land),
        4 => number().prop_map(Work::Hold),
        1 => number().prop_map(Work::KeepOnly),
        3 => Just(Work::Publish),
        1 => Just(Work::Fail),
        1 => Just(Work::Release),
    ];
    prop_oneof![
        5 => (slot(), any::<bool>()).prop_map(|(s, copy)| Step::Start(s, copy)),
        18 => (slot(), work, prop::bool::weighted(0.1)).prop_map(|(s, work, late)| Step::Work(s, work, late)),
        1 => slot().prop_map(Step::Claim),
        1 => slot().prop_map(Step::TakeOver),
        3 => slot().prop_map(Step::BeginDelete),
        3 => slot().prop_map(Step::FinishDelete),
        1 => (slot(), any::<bool>()).prop_map(|(s, holder)| Step::PlaceHold(s, holder)),
        2 => (slot(), any::<bool>()).prop_map(|(s, holder)| Step::ReleaseHold(s, holder)),
        4 => Just(Step::Doom),
        5 => number().prop_map(Step::BeginPackDeletion),
        4 => number().prop_map(Step::ForgetPack),
    ]
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pack {
    anew: bool,
    landed: bool,
    doomed: bool,
    deleting: bool,
}

#[derive(Clone, Debug)]
struct Backup {
    id: BackupId,
    state: BackupState,
    fence: i64,
    leased: bool,
    edges: BTreeSet<u8>,
    holders: BTreeSet<bool>,
}

impl Backup {
    fn is_workable(&self) -> bool {
        self.state.is_in_progress() && self.leased
    }
}

/// The rules, without SQL.
#[derive(Default)]
struct Model {
    slots: [Option<Backup>; SLOTS],
    packs: BTreeMap<u8, Pack>,
}

/// What a call came to, as far as the rules tell.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Standing(Standing),
    Held(bool),
    Claimed(Option<i64>),
    Begun(bool),
    Doomed(u64),
    Refused(Kind),
}

impl Model {
    fn is_named(&self, number: u8) -> bool {
        self.slots.iter().flatten().any(|backup| backup.edges.contains(&number))
    }

    fn work(&mut self, slot: usize, work: Work, late: bool) -> Outcome {
        let Some(backup) = &self.slots[slot] else { return Outcome::Done };
        if late || !backup.is_workable() {
            return Outcome::Refused(Kind::LostLease);
        }
        match work {
            Work::Intend(number, anew) => return Outcome::Standing(self.intend(slot, number, anew)),
            Work::Hold(number) => return Outcome::Held(self.hold(slot, number)),
            _ => {}
        }
        let Self { slots, packs } = self;
        let backup = slots[slot].as_mut().unwrap();
        match work {
            Work::Intend(..) | Work::Hold(_) => {}
            Work::Land(number) if !backup.edges.contains(&number) => return Outcome::Refused(Kind::Conflict),
            Work::Land(number) => packs.get_mut(&number).unwrap().landed = true,
            Work::KeepOnly(number) => backup.edges.retain(|edge| *edge == number),
            Work::Publish if backup.edges.iter().any(|edge| !packs[edge].landed) => {
                return Outcome::Refused(Kind::Conflict);
            }
            Work::Publish => backup.state = BackupState::Available,
            Work::Fail => {
                backup.state = BackupState::Failed;
                backup.edges.clear();
            }
            Work::Release => backup.leased = false,
        }
        Outcome::Done
    }

    fn intend(&mut self, slot: usize, number: u8, anew: bool) -> Standing {
        let named_by_others = self
            .slots
            .iter()
            .enumerate()
            .any(|(s, b)| s != slot && b.as_ref().is_some_and(|b| b.edges.contains(&number)));
        let pack = self.packs.entry(number).or_insert(Pack { anew, ..Pack::default() });
        if pack.deleting {
            return Standing::Deleting;
        }
        if !pack.landed && pack.anew != anew {
            if named_by_others {
                return Standing::Taken;
            }
            pack.anew = anew;
        }
        pack.doomed = false;
        let standing = if pack.landed { Standing::Held } else { Standing::Missing };
        self.slots[slot].as_mut().unwrap().edges.insert(number);
        standing
    }

    fn hold(&mut self, slot: usize, number: u8) -> bool {
        let Some(pack) = self.packs.get_mut(&number).filter(|pack| pack.landed && !pack.deleting) else { return false };
        pack.doomed = false;
        self.slots[slot].as_mut().unwrap().edges.insert(number);
        true
    }

    fn claim(&mut self, slot: usize, over_a_lease: bool) -> Outcome {
        let Some(backup) = &mut self.slots[slot] else { return Outcome::Claimed(None) };
        if !backup.state.is_in_progress() || (backup.leased && !over_a_lease) {
            return Outcome::Claimed(None);
        }
        backup.fence += 1;
        backup.leased = true;
        Outcome::Claimed(Some(backup.fence))
    }

    fn begin_delete(&mut self, slot: usize) -> Outcome {
        match &mut self.slots[slot] {
            None => Outcome::Done,
            Some(backup) if backup.is_workable() => Outcome::Refused(Kind::Leased),
            Some(backup) if !backup.holders.is_empty() => Outcome::Refused(Kind::Held),
            Some(backup) => {
                backup.state = BackupState::Deleting;
                Outcome::Done
            }
        }
    }

    fn finish_delete(&mut self, slot: usize) -> Outcome {
        match &self.slots[slot] {
            Some(backup) if backup.state != BackupState::Deleting => return Outcome::Refused(Kind::Conflict),
            _ => self.slots[slot] = None,
        }
        Outcome::Done
    }

    fn place_hold(&mut self, slot: usize, holder: bool) -> Outcome {
        match &mut self.slots[slot] {
            Some(backup) if backup.state == BackupState::Available => drop(backup.holders.insert(holder)),
            Some(_) => return Outcome::Refused(Kind::Conflict),
            None => {}
        }
        Outcome::Done
    }

    fn doom(&mut self) -> Outcome {
        let nameless: Vec<u8> = self.packs.keys().copied().filter(|number| !self.is_named(*number)).collect();
        let fresh = |pack: &Pack| !pack.doomed && !pack.deleting;
        let doomed = nameless.iter().filter(|number| fresh(&self.packs[number])).count();
        for number in nameless {
            let pack = self.packs.get_mut(&number).unwrap();
            pack.doomed = true;
        }
        Outcome::Doomed(doomed as u64)
    }

    fn begin_pack_deletion(&mut self, number: u8) -> Outcome {
        let named = self.is_named(number);
        let ripe = self.packs.get_mut(&number).filter(|pack| pack.doomed && !pack.deleting && !named);
        Outcome::Begun(ripe.map(|pack| pack.deleting = true).is_some())
    }

    fn forget_pack(&mut self, number: u8) -> Outcome {
        if self.packs.get(&number).is_some_and(|pack| pack.deleting) {
            self.packs.remove(&number);
        }
        Outcome::Done
    }

    /// What must hold whatever has happened.
    fn assert_sound(&self, step: Step) {
        for backup in self.slots.iter().flatten() {
            for number in &backup.edges {
                let pack =
                    self.packs.get(number).unwrap_or_else(|| panic!("{step:?} took pack {number} of {backup:?}"));
                assert!(!pack.deleting, "{step:?} deletes pack {number} of {backup:?}");
                assert!(!pack.doomed, "{step:?} dooms pack {number} of {backup:?}");
                assert!(
                    pack.landed || backup.state != BackupState::Available,
                    "{step:?} leaves {backup:?} available without pack {number}"
                );
            }
        }
    }
}

/// One history in a catalog that others have used before: its account and its backups' ids are its own.
struct History<'a> {
    fresh: &'a Fresh,
    account: AccountId,
    /// How many backups there have been in all histories: the number of the next one.
    backups: &'a std::cell::Cell<u64>,
    model: Model,
}

impl History<'_> {
    async fn run(&mut self, steps: &[Step]) {
        for step in steps {
            let before = self.touched(*step);
            let got = self.call(*step).await;
            let expected = match (step, &before) {
                (Step::Start(..), Some(_)) => Outcome::Refused(Kind::Conflict),
                _ => self.expect(*step),
            };
            assert_eq!(got, expected, "{step:?}");
            self.model.assert_sound(*step);
            if let Some(id) = before {
                self.compare_backup(&id, *step).await;
            }
            self.compare_deleting(*step).await;
        }
        self.compare_all().await;
        self.remove_all().await;
    }

    fn touched(&self, step: Step) -> Option<BackupId> {
        match step {
            Step::Start(slot, _)
            | Step::Work(slot, ..)
            | Step::Claim(slot)
            | Step::TakeOver(slot)
            | Step::BeginDelete(slot)
            | Step::FinishDelete(slot)
            | Step::PlaceHold(slot, _)
            | Step::ReleaseHold(slot, _) => self.model.slots[slot].as_ref().map(|backup| backup.id.clone()),
            Step::Doom | Step::BeginPackDeletion(_) | Step::ForgetPack(_) => None,
        }
    }

    /// Does the step in the catalog. A step on an empty slot is none.
    async fn call(&mut self, step: Step) -> Outcome {
        let (fresh, account) = (self.fresh, &self.account);
        let Some(id) = self.touched(step) else { return self.call_without_backup(step).await };
        let done = match step {
            Step::Work(slot, work, late) => {
                let backup = self.model.slots[slot].as_ref().unwrap();
                return self.call_work(&id, Fence(backup.fence - i64::from(late)), work).await;
            }
            Step::Claim(_) => return claimed(fresh.claim(&id, &lease("worker", HOUR), None).await),
            Step::TakeOver(_) => return claimed(fresh.claim(&id, &lease("worker", HOUR), Some("worker")).await),
            Step::BeginDelete(_) => fresh.begin_delete(account, &id, None).await,
            Step::FinishDelete(_) => fresh.finish_delete(std::slice::from_ref(&id)).await,
            Step::PlaceHold(_, holder) => fresh.place_hold(account, &id, holder_name(holder), HOUR).await,
            Step::ReleaseHold(_, holder) => fresh.release_hold(&id, holder_name(holder)).await,
            // A backup is in the slot already.
            Step::Start(..) => {
                let again = NewBackup { id, account: account.clone(), ..new_backup(0) };
                fresh.insert_backup(&again, &lease("worker", HOUR)).await.map(|_| ())
            }
            Step::Doom | Step::BeginPackDeletion(_) | Step::ForgetPack(_) => Ok(()),
        };
        outcome(done, |()| Outcome::Done)
    }

    async fn call_without_backup(&mut self, step: Step) -> Outcome {
        let (fresh, account) = (self.fresh, &self.account);
        match step {
            Step::Start(slot, copy) => {
                let number = self.backups.replace(self.backups.get() + 1);
                let id: BackupId = format!("backup-0{number:016x}").parse().unwrap();
                let source = BackupSource {
                    region: "us-west-2".parse().unwrap(),
                    backup: id.clone(),
                    taken_at: Some(model::Timestamp(7)),
                };
                let source = copy.then_some(source);
                let new = NewBackup { id: id.clone(), account: account.clone(), source, ..new_backup(0) };
                let fence = fresh.insert_backup(&new, &lease("worker", HOUR)).await.unwrap();
                let state = if copy { BackupState::Copying } else { BackupState::Creating };
                let (edges, holders) = (BTreeSet::new(), BTreeSet::new());
                self.model.slots[slot] = Some(Backup { id, state, fence: fence.0, leased: true, edges, holders });
                Outcome::Done
            }
            Step::Doom => outcome(fresh.doom_unreferenced(Some(account)).await, Outcome::Doomed),
            Step::BeginPackDeletion(number) => {
                let begun = fresh.begin_pack_deletion(account, &pack(number).pack_id, Duration::ZERO).await;
                outcome(begun, Outcome::Begun)
            }
            Step::ForgetPack(number) => outcome(fresh.forget(account, &pack(number).pack_id).await, |()| Outcome::Done),
            Step::Claim(_) | Step::TakeOver(_) => Outcome::Claimed(None),
            _ => Outcome::Done,
        }
    }

    async fn call_work(&self, id: &BackupId, fence: Fence, work: Work) -> Outcome {
        let (fresh, account) = (self.fresh, &self.account);
        let done = match work {
            Work::Intend(number, anew) => {
                let standings = fresh.intend_packs(account, id, fence, &[form(number, anew)]).await;
                return outcome(standings, |standings| Outcome::Standing(standings[0]));
            }
            Work::Hold(number) => {
                let held = fresh.hold_packs(account, id, fence, &[pack(number).pack_id]).await;
                return outcome(held, |held| Outcome::Held(held.len() == 1));
            }
            Work::Land(number) => fresh.land_packs(account, id, fence, &[pack(number).pack_id], 0).await,
            Work::KeepOnly(number) => fresh.keep_only(id, fence, &[pack(number).pack_id]).await,
            Work::Publish => fresh.publish(id, fence, &published()).await,
            Work::Fail => fresh.fail(id, fence, "gave up").await,
            Work::Release => fresh.release(id, fence).await,
        };
        outcome(done, |()| Outcome::Done)
    }

    /// Does the step in the model.
    fn expect(&mut self, step: Step) -> Outcome {
        let model = &mut self.model;
        match step {
            // It went into the model as soon as it had its fence.
            Step::Start(..) => Outcome::Done,
            Step::Work(slot, work, late) => model.work(slot, work, late),
            Step::Claim(slot) => model.claim(slot, false),
            Step::TakeOver(slot) => model.claim(slot, true),
            Step::BeginDelete(slot) => model.begin_delete(slot),
            Step::FinishDelete(slot) => model.finish_delete(slot),
            Step::PlaceHold(slot, holder) => model.place_hold(slot, holder),
            Step::ReleaseHold(slot, holder) => {
                model.slots[slot].as_mut().map(|backup| backup.holders.remove(&holder));
                Outcome::Done
            }
            Step::Doom => model.doom(),
            Step::BeginPackDeletion(number) => model.begin_pack_deletion(number),
            Step::ForgetPack(number) => model.forget_pack(number),
        }
    }

    /// Compares a backup's state and the packs it keeps; one that is gone keeps none.
    async fn compare_backup(&self, id: &BackupId, step: Step) {
        let backup = self.model.slots.iter().flatten().find(|backup| backup.id == *id);
        let rows = self.fresh.backup_packs(id).await.unwrap();
        let found: Vec<(u8, Pack)> = rows.iter().map(|row| (row.pack_id.0[0], as_modelled(row))).collect();
        let edges = backup.iter().flat_map(|backup| &backup.edges);
        let expected: Vec<(u8, Pack)> = edges.map(|number| (*number, self.model.packs[number])).collect();
        assert_eq!(found, expected, "{step:?}");
    }

    async fn compare_deleting(&self, step: Step) {
        let rows = self.fresh.deleting_packs().await.unwrap();
        let own = rows.iter().filter(|(account, _)| *account == self.account);
        let found: Vec<u8> = own.map(|(_, row)| row.pack_id.0[0]).collect();
        let expected: Vec<u8> = self.model.packs.iter().filter(|(_, pack)| pack.deleting).map(|(n, _)| *n).collect();
        assert_eq!(found, expected, "{step:?}");
    }

    async fn compare_all(&self) {
        for backup in self.model.slots.iter().flatten() {
            self.compare_backup(&backup.id, Step::Doom).await;
            let row = self.fresh.find_backup(&self.account, &backup.id).await.unwrap().unwrap();
            assert_eq!((row.state, row.lease_fence.0), (backup.state, backup.fence), "{backup:?}");
        }
    }

    /// Once nothing needs them, every pack goes: none is left behind by any history.
    async fn remove_all(&mut self) {
        let (fresh, account) = (self.fresh, &self.account);
        for backup in self.model.slots.iter().flatten() {
            if backup.is_workable() {
                fresh.release(&backup.id, Fence(backup.fence)).await.unwrap();
            }
            for holder in &backup.holders {
                fresh.release_hold(&backup.id, holder_name(*holder)).await.unwrap();
            }
            fresh.begin_delete(account, &backup.id, None).await.unwrap();
            fresh.finish_delete(std::slice::from_ref(&backup.id)).await.unwrap();
        }
        fresh.doom_unreferenced(Some(account)).await.unwrap();
        for (number, known) in &self.model.packs {
            let begun = fresh.begin_pack_deletion(account, &pack(*number).pack_id, Duration::ZERO).await.unwrap();
            assert_eq!(begun, !known.deleting, "pack {number}");
            fresh.forget(account, &pack(*number).pack_id).await.unwrap();
        }
        assert_eq!(fresh.known_objects(account, None, 10).await.unwrap(), []);
    }
}

fn as_modelled(row: &catalog::PackRow) -> Pack {
    let anew = row.object_name == form(row.pack_id.0[0], true).object_name;
    Pack { anew, landed: row.landed, doomed: row.doomed_at.is_some(), deleting: row.deleting }
}

fn form(number: u8, anew: bool) -> NewPack {
    let object_name = if anew { ObjectName([number + 100; 32]) } else { pack(number).object_name };
    NewPack { object_name, ..pack(number) }
}

fn holder_name(holder: bool) -> &'static str {
    if holder { "us-west-2/one" } else { "us-west-2/two" }
}

fn claimed(result: Result<Option<Fence>, CatalogError>) -> Outcome {
    outcome(result, |fence| Outcome::Claimed(fence.map(|fence| fence.0)))
}

fn outcome<T>(result: Result<T, CatalogError>, done: impl FnOnce(T) -> Outcome) -> Outcome {
    result.map_or_else(|error| Outcome::Refused(error.kind), done)
}

/// A server takes ten times as long for each, and decides nothing that a file does not.
fn cases() -> u32 {
    if is_sqlite() { 2000 } else { 200 }
}

#[test]
fn gc_never_takes_a_pack_that_is_needed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fresh = runtime.block_on(Fresh::new_in_memory());
    let (histories, backups) = (std::cell::Cell::new(1_u64), std::cell::Cell::new(0));
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let run = |steps: Vec<Step>| {
        let account = format!("{:012}", histories.replace(histories.get() + 1)).parse().unwrap();
        let mut history = History { fresh: &fresh, account, backups: &backups, model: Model::default() };
        runtime.block_on(history.run(&steps));
        Ok(())
    };
    TestRunner::new(config).run(&prop::collection::vec(step(), 25..35), run).unwrap();
}
