//! Random histories of writers and gc, compared step by step with a plain model of the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use catalog::{Fence, Standing};
use proptest::prelude::*;

use crate::support::{Fresh, account, backup_id, pack};

const BACKUPS: u8 = 3;
const PACKS: u8 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Intend(u8, u8),
    Land(u8, u8),
    Hold(u8, u8),
    KeepOnly(u8, u8),
    Fail(u8),
    Doom,
    BeginDeletion(u8),
    Forget(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (backup, pack) = (|| 0..BACKUPS, || 0..PACKS);
    prop_oneof![
        4 => (backup(), pack()).prop_map(|(b, p)| Step::Intend(b, p)),
        3 => (backup(), pack()).prop_map(|(b, p)| Step::Land(b, p)),
        2 => (backup(), pack()).prop_map(|(b, p)| Step::Hold(b, p)),
        2 => (backup(), pack()).prop_map(|(b, p)| Step::KeepOnly(b, p)),
        1 => backup().prop_map(Step::Fail),
        3 => Just(Step::Doom),
        4 => pack().prop_map(Step::BeginDeletion),
        3 => pack().prop_map(Step::Forget),
    ]
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pack {
    landed: bool,
    doomed: bool,
    deleting: bool,
}

/// The rules, without SQL.
#[derive(Default)]
struct Model {
    packs: BTreeMap<u8, Pack>,
    edges: BTreeSet<(u8, u8)>,
    failed: BTreeSet<u8>,
}

impl Model {
    fn is_named(&self, pack: u8) -> bool {
        self.edges.iter().any(|(_, named)| *named == pack)
    }

    fn intend(&mut self, backup: u8, number: u8) -> Standing {
        let pack = self.packs.entry(number).or_default();
        if pack.deleting {
            return Standing::Deleting;
        }
        pack.doomed = false;
        self.edges.insert((backup, number));
        if pack.landed { Standing::Held } else { Standing::Missing }
    }

    fn land(&mut self, backup: u8, number: u8) -> bool {
        let known = self.edges.contains(&(backup, number));
        if known {
            self.packs.get_mut(&number).unwrap().landed = true;
        }
        known
    }

    fn hold(&mut self, backup: u8, number: u8) -> bool {
        match self.packs.get_mut(&number) {
            Some(pack) if pack.landed && !pack.deleting => {
                pack.doomed = false;
                self.edges.insert((backup, number));
                true
            }
            _ => false,
        }
    }

    fn doom(&mut self) -> u64 {
        let named: BTreeSet<u8> = self.edges.iter().map(|(_, pack)| *pack).collect();
        let doomed = self.packs.iter_mut().filter(|(n, p)| !named.contains(n) && !p.doomed && !p.deleting);
        doomed.map(|(_, pack)| pack.doomed = true).count().try_into().unwrap()
    }

    fn begin_deletion(&mut self, number: u8) -> bool {
        let named = self.is_named(number);
        match self.packs.get_mut(&number) {
            Some(pack) if pack.doomed && !pack.deleting && !named => {
                pack.deleting = true;
                true
            }
            _ => false,
        }
    }

    fn forget(&mut self, number: u8) {
        if self.packs.get(&number).is_some_and(|pack| pack.deleting) {
            self.packs.remove(&number);
        }
    }
}

async fn check(history: &[Step]) {
    let fresh = Fresh::new().await;
    for backup in 0..BACKUPS {
        fresh.begin(backup).await;
    }
    let mut model = Model::default();
    for step in history {
        apply(&fresh, &mut model, *step).await;
        for (backup, number) in &model.edges {
            assert!(!model.packs[number].deleting, "backup {backup} names pack {number}, which is being deleted");
        }
        for backup in 0..BACKUPS {
            let edges: Vec<u8> =
                fresh.backup_packs(&backup_id(backup)).await.unwrap().iter().map(|row| row.pack_id.0[0]).collect();
            let expected: Vec<u8> = model.edges.iter().filter(|(b, _)| *b == backup).map(|(_, p)| *p).collect();
            assert_eq!(edges, expected, "after {step:?}");
        }
    }
}

async fn apply(fresh: &Fresh, model: &mut Model, step: Step) {
    let fence = Fence(1);
    let account = account();
    match step {
        Step::Intend(b, _) | Step::Land(b, _) | Step::Hold(b, _) | Step::KeepOnly(b, _) | Step::Fail(b)
            if model.failed.contains(&b) => {}
        Step::Intend(b, p) => {
            let standings = fresh.intend_packs(&account, &backup_id(b), fence, &[pack(p)]).await.unwrap();
            assert_eq!(standings, [model.intend(b, p)], "{step:?}");
        }
        Step::Land(b, p) => {
            let landed = fresh.land_packs(&account, &backup_id(b), fence, &[pack(p).pack_id], 0).await;
            assert_eq!(landed.is_ok(), model.land(b, p), "{step:?}");
        }
        Step::Hold(b, p) => {
            let held = fresh.hold_packs(&account, &backup_id(b), fence, &[pack(p).pack_id]).await.unwrap();
            assert_eq!(held.len() == 1, model.hold(b, p), "{step:?}");
        }
        Step::KeepOnly(b, p) => {
            fresh.keep_only(&backup_id(b), fence, &[pack(p).pack_id]).await.unwrap();
            model.edges.retain(|(backup, number)| *backup != b || *number == p);
        }
        Step::Fail(b) => {
            fresh.fail(&backup_id(b), fence, "gave up").await.unwrap();
            model.failed.insert(b);
            model.edges.retain(|(backup, _)| *backup != b);
        }
        Step::Doom => assert_eq!(fresh.doom_unreferenced(None).await.unwrap(), model.doom()),
        Step::BeginDeletion(p) => {
            let begun = fresh.begin_pack_deletion(&account, &pack(p).pack_id, Duration::ZERO).await.unwrap();
            assert_eq!(begun, model.begin_deletion(p), "{step:?}");
            assert!(!begun || !model.is_named(p));
        }
        Step::Forget(p) => {
            fresh.forget(&account, &pack(p).pack_id).await.unwrap();
            model.forget(p);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writers_and_gc_follow_the_rules(history in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(&history));
    }
}
