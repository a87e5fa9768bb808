//! The real process is killed before and after every write it makes; the same command again finishes
//! the work, sends nothing twice that had landed, and leaves nothing behind that gc does not take.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use testkit::corpus;

use crate::api::served::{Served, until};
use crate::copying::flip_bit;
use crate::world::{Ran, SOURCE, TARGET, World, assert_same_to_rsync, files_below, tool};

/// Packs that may be on their way when the process dies: they are written again.
const IN_FLIGHT: usize = 3;

/// A site that is put back as it was before each kill.
struct Stage {
    world: World,
    pristine: PathBuf,
    tree: PathBuf,
    resource: String,
}

impl Stage {
    /// A resource with three backups, so that the last one names several packs.
    fn new(seed: u64) -> (Self, Vec<String>) {
        let world = World::new();
        let tree = world.path("tree");
        std::fs::create_dir(&tree).unwrap();
        let resource = world.add(&tree);
        let mut backups = Vec::new();
        for day in 0..3 {
            let mut noise = corpus::Random::new(seed + day);
            for file in 0..14 {
                let bytes: Vec<u8> = (0..6_000).flat_map(|_| noise.number().to_le_bytes()).collect();
                std::fs::create_dir_all(tree.join(format!("day-{day}"))).unwrap();
                std::fs::write(tree.join(format!("day-{day}/file-{file}")), bytes).unwrap();
            }
            std::os::unix::fs::symlink("target", tree.join(format!("link-{day}"))).unwrap();
            backups.push(world.backup(&resource));
        }
        let stage = Self { pristine: world.path("pristine"), world, tree, resource };
        stage.keep();
        (stage, backups)
    }

    fn keep(&self) {
        drop(std::fs::remove_dir_all(&self.pristine));
        tool("cp", ["-a".as_ref(), self.world.site().as_os_str(), self.pristine.as_os_str()]);
    }

    fn reset(&self) {
        std::fs::remove_dir_all(self.world.site()).unwrap();
        drop(std::fs::remove_dir_all(self.target()));
        tool("cp", ["-a".as_ref(), self.pristine.as_os_str(), self.world.site().as_os_str()]);
    }

    fn target(&self) -> PathBuf {
        self.world.path("restored")
    }

    /// The effects that the command has when nothing stops it.
    fn effects(&self, arguments: &[&str]) -> Vec<String> {
        let log = self.world.path("effects");
        drop(std::fs::remove_file(&log));
        let output = self.world.command(arguments).env("OFFSITE_EFFECTS_LOG", &log).output().unwrap();
        Ran::from(output).exits(0);
        let effects = std::fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
        self.reset();
        effects
    }

    /// Kills the command at every effect in turn; after each, runs it again and calls `check` with what
    /// the second run printed. Returns the number of kills.
    ///
    /// Packs that land together are committed together, so a run may have a few effects less than another.
    fn kill_everywhere(&self, arguments: &[&str], check: impl Fn(&Ran, usize)) -> usize {
        let effects = self.effects(arguments).len();
        assert!(effects > 0);
        for at in 1.. {
            let killed = self.world.command(arguments).env("OFFSITE_CRASH_AT", at.to_string()).output().unwrap();
            if std::os::unix::process::ExitStatusExt::signal(&killed.status) != Some(9) {
                Ran::from(killed).exits(0);
                assert!(at > effects - effects / 4, "{arguments:?} was not killed at effect {at} of {effects}");
                self.reset();
                return at - 1;
            }
            let before = [stamps(&self.world, SOURCE), stamps(&self.world, TARGET)];
            let again = self.world.run(arguments);
            let after = [stamps(&self.world, SOURCE), stamps(&self.world, TARGET)];
            let rewritten: usize = before.iter().zip(&after).map(|(before, after)| rewritten(before, after)).sum();
            assert!(rewritten <= IN_FLIGHT, "{rewritten} packs were sent again after a kill at effect {at}");
            check(&again, at);
            self.reset();
        }
        unreachable!("a command has no end of effects")
    }

    /// Removes every backup of a region and asserts that gc leaves no object.
    #[track_caller]
    fn assert_gc_takes_everything(&self, region: &str, at: usize) {
        let listed = self.world.run(["backup", "ls", "--region", region, "--all", "--json"]).json();
        for backup in listed.as_array().unwrap() {
            self.world.run(["backup", "rm", backup["id"].as_str().unwrap()]).exits(0);
        }
        // Half-written files stay for a minute.
        for path in self.world.packs(region).iter().filter(|path| path.to_string_lossy().contains('#')) {
            let written = std::fs::File::options().write(true).open(path).unwrap();
            written.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        self.world.run(["gc", "--region", region, "--grace", "0s"]).exits(0);
        assert_eq!(self.world.packs(region), Vec::<PathBuf>::new(), "orphans after a kill at effect {at}");
    }
}

fn stamps(world: &World, region: &str) -> BTreeMap<PathBuf, SystemTime> {
    world.packs(region).into_iter().map(|p| (p.clone(), p.metadata().unwrap().modified().unwrap())).collect()
}

fn rewritten(before: &BTreeMap<PathBuf, SystemTime>, after: &BTreeMap<PathBuf, SystemTime>) -> usize {
    before.iter().filter(|(path, time)| after.get(*path).is_some_and(|now| now != *time)).count()
}

fn only_available(world: &World, region: &str) -> usize {
    let listed = world.run(["backup", "ls", "--region", region, "--all", "--json"]).json();
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().all(|backup| backup["state"] == "AVAILABLE"), "{listed:?}");
    listed.len()
}

#[test]
fn a_backup_killed_at_any_effect_is_finished_by_the_same_command() {
    let (stage, backups) = Stage::new(1000);
    std::fs::write(stage.tree.join("new"), vec![7; 300_000]).unwrap();
    let kills = stage.kill_everywhere(&["backup", "create", &stage.resource], |again, at| {
        let backup = again.stdout.trim();
        assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
        // Killed after the row said AVAILABLE, the command has nothing to go on with and makes another.
        let available = only_available(&stage.world, SOURCE);
        assert!(available == backups.len() + 1 || available == backups.len() + 2, "{available} backups");
        stage.world.run(["backup", "verify", backup, "--read-data"]).exits(0);
        stage.world.restore(backup, &stage.target()).exits(0);
        assert_same_to_rsync(&stage.tree, &stage.target());
        if at % 4 == 0 {
            stage.assert_gc_takes_everything(SOURCE, at);
        }
    });
    println!("{kills} kills");
}

#[test]
fn a_first_backup_of_an_image_killed_at_any_effect_is_finished_by_the_same_command() {
    let (mut stage, _) = Stage::new(1500);
    let image = stage.world.path("disk.img");
    corpus::image(&image, 1501, 4 << 20, 0.5).unwrap();
    stage.resource = stage.world.add(&image);
    stage.keep();
    let kills = stage.kill_everywhere(&["backup", "create", &stage.resource], |again, at| {
        assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
        let restored = stage.world.path("restored.img");
        stage.world.run(["backup", "restore", again.stdout.trim(), restored.to_str().unwrap(), "--overwrite"]).exits(0);
        tool("cmp", [&image, &restored]);
    });
    println!("{kills} kills");
}

#[test]
fn a_copy_killed_at_any_effect_is_finished_by_the_same_command() {
    let (stage, backups) = Stage::new(2000);
    let last = backups.last().unwrap();
    for extra in [&[][..], &["--reencrypt"][..]] {
        let arguments = [&["copy", last, "--to", TARGET][..], extra].concat();
        let kills = stage.kill_everywhere(&arguments, |again, at| {
            assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
            let copy = again.stdout.trim();
            assert!(only_available(&stage.world, TARGET) <= 2);
            stage.world.run(["backup", "verify", copy, "--read-data"]).exits(0);
            if at % 4 == 0 {
                stage.world.restore(copy, &stage.target()).exits(0);
                assert_same_to_rsync(&stage.tree, &stage.target());
                stage.assert_gc_takes_everything(TARGET, at);
            }
        });
        println!("{kills} kills");
    }
}

/// What is there already is never copied again, so that there is one copy of each, wherever the command was killed.
#[test]
fn bringing_a_region_up_to_date_is_finished_by_the_same_command_wherever_it_is_killed() {
    let (stage, backups) = Stage::new(2250);
    stage.world.copy(&backups[0]);
    stage.keep();
    let kills = stage.kill_everywhere(&["copy", "--missing", "--from", SOURCE, "--to", TARGET], |again, at| {
        assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
        assert_eq!(only_available(&stage.world, TARGET), backups.len(), "after a kill at effect {at}");
        if at % 4 == 0 {
            stage.world.run(["verify", "--region", TARGET, "--read-data"]).exits(0);
            stage.assert_gc_takes_everything(TARGET, at);
        }
    });
    println!("{kills} kills");
}

#[test]
fn the_source_of_an_interrupted_copy_cannot_be_removed() {
    let (stage, backups) = Stage::new(2500);
    let last = backups.last().unwrap();
    let arguments = ["copy", last, "--to", TARGET];
    let half = stage.effects(&arguments).len() / 2;
    let killed = stage.world.command(arguments).env("OFFSITE_CRASH_AT", half.to_string()).status().unwrap();
    assert!(!killed.success());
    let refused = stage.world.run(["backup", "rm", last]).exits(1);
    assert!(refused.stderr.contains("being copied"), "{}", refused.stderr);
    stage.world.run(arguments).exits(0);
    stage.world.run(["backup", "rm", last]).exits(0);
}

#[test]
fn the_source_of_a_copy_that_died_before_it_could_be_seen_is_not_needed_any_more() {
    let (stage, backups) = Stage::new(2700);
    let last = backups.last().unwrap();
    // With nothing to move, the next copy has the same effects each time.
    stage.world.copy(last);
    stage.keep();
    let arguments = ["copy", last, "--to", TARGET];
    let publish = stage.effects(&arguments).iter().position(|effect| effect == "catalog.publish.before").unwrap();
    let killed = stage.world.command(arguments).env("OFFSITE_CRASH_AT", (publish + 1).to_string()).status().unwrap();
    assert!(!killed.success());
    let world = stage.world;
    let listed = world.run(["backup", "ls", "--region", TARGET, "--all", "--json"]).json();
    let copying = listed.as_array().unwrap().iter().find(|backup| backup["state"] == "COPYING").unwrap();
    let copy = copying["id"].as_str().unwrap();
    world.run(["backup", "rm", last]).exits(0);
    // Nor is the source's region.
    let source = world.region(SOURCE).join("store");
    std::fs::rename(&source, source.with_extension("lost")).unwrap();

    // Nothing is published while the store does not say whose it is. The copy, all that is left, is not given up for that.
    let owner = world.region(TARGET).join("store/catalog.json");
    let says = std::fs::read(&owner).unwrap();
    std::fs::write(&owner, "{}").unwrap();
    let served = Served::of(world);
    let log = served.world.path("server.log");
    until(|| std::fs::read_to_string(&log).unwrap().contains("interrupted work was not resumed").then_some(()));
    assert_eq!(served.world.show(copy)["state"], "COPYING");
    std::fs::write(&owner, says).unwrap();
    until(|| (served.world.show(copy)["state"] == "AVAILABLE").then_some(()));
    served.world.run(["backup", "verify", copy, "--read-data"]).exits(0);
}

#[test]
fn a_restore_killed_at_any_effect_is_finished_by_the_same_command() {
    let (stage, backups) = Stage::new(3000);
    let target = stage.target();
    let arguments = ["backup", "restore", backups.last().unwrap(), target.to_str().unwrap()];
    let kills = stage.kill_everywhere(&arguments, |again, at| {
        if again.status == Some(1) {
            // Finished before the kill, or killed before the directory could be marked: nothing is
            // replaced without being told to.
            assert!(again.stderr.contains("--overwrite"), "after a kill at effect {at}: {again:?}");
            let overwrite = [&arguments[..], &["--overwrite"]].concat();
            stage.world.run(overwrite).exits(0);
        } else {
            assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
        }
        assert_same_to_rsync(&stage.tree, &target);
    });
    println!("{kills} kills");
}

/// Whatever is there has one of its two contents at every instant, and the same command ends with the new one.
#[test]
fn a_restore_over_files_killed_at_any_effect_has_lost_none() {
    let (stage, backups) = Stage::new(3200);
    let (day, target) = (stage.tree.join("day-1"), stage.target());
    let backup = backups.last().unwrap();
    let arguments = ["backup", "restore", backup, target.to_str().unwrap(), "--path", "day-1", "--overwrite"];
    let names: Vec<_> = files_below(&day).iter().map(|file| file.file_name().unwrap().to_owned()).collect();
    let begun = |file: &Path| file.file_name().unwrap().to_string_lossy().starts_with(".offsite-restoring-");
    for at in 1.. {
        std::fs::create_dir_all(target.join("day-1")).unwrap();
        names.iter().for_each(|name| std::fs::write(target.join("day-1").join(name), "mine").unwrap());
        let killed = stage.world.command(arguments).env("OFFSITE_CRASH_AT", at.to_string()).output().unwrap();
        let has_ended = killed.status.success();
        for name in &names {
            let is = std::fs::read(target.join("day-1").join(name)).unwrap();
            assert!(is == b"mine" || is == std::fs::read(day.join(name)).unwrap(), "{name:?} after a kill at {at}");
        }
        stage.world.run(arguments).exits(0);
        let left: Vec<_> = files_below(&target).into_iter().filter(|file| begun(file)).collect();
        assert!(left.len() <= 1, "after a kill at {at}: {left:?}");
        left.iter().for_each(|file| std::fs::remove_file(file).unwrap());
        tool("diff", ["-r".as_ref(), day.as_os_str(), target.join("day-1").as_os_str()]);
        stage.reset();
        if has_ended {
            assert!(at > 2 * names.len(), "there are two effects for each file at least");
            return;
        }
    }
}

/// What was begun in an empty target is the restore's own, and is not taken for a file of which its bytes are gone.
#[test]
fn half_a_file_does_not_stay_where_its_bytes_are_damaged() {
    let (stage, backups) = Stage::new(3300);
    let (target, first) = (stage.target(), stage.target().join("day-0/file-0"));
    let arguments = ["backup", "restore", backups.last().unwrap(), target.to_str().unwrap()];
    let effects = stage.effects(&arguments);
    let made = effects.iter().enumerate().filter(|(_, effect)| *effect == "restore.create_file").nth(1).unwrap().0 + 1;
    let killed = stage.world.command(arguments).env("OFFSITE_CRASH_AT", made.to_string()).output().unwrap();
    assert!(!killed.status.success() && first.exists(), "{killed:?}");
    // All chunks of files, which come first.
    for pack in stage.world.packs(SOURCE) {
        let len = usize::try_from(pack.metadata().unwrap().len()).unwrap();
        (1_000..len * 3 / 4).step_by(20_000).for_each(|at| flip_bit(&pack, at));
    }
    let again = stage.world.run(arguments).exits(3);
    assert!(again.stderr.contains("day-0/file-0"), "{again:?}");
    assert!(!first.exists());
}

/// What is only on the way is closed to others until the end, and must not stay so where the first run did not reach it.
#[test]
fn a_restore_of_one_path_killed_at_any_effect_leaves_no_directory_closed() {
    let (stage, backups) = Stage::new(3500);
    let target = stage.target();
    let place = target.to_str().unwrap();
    let arguments = ["backup", "restore", backups.last().unwrap(), place, "--path", "day-2/file-3"];
    let mode = |directory: &Path| directory.metadata().unwrap().permissions().mode() & 0o7777;
    let kills = stage.kill_everywhere(&arguments, |again, at| {
        if again.status == Some(1) {
            assert!(again.stderr.contains("--overwrite"), "after a kill at effect {at}: {again:?}");
        } else {
            assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
            assert_eq!(mode(&target), mode(&stage.tree), "after a kill at effect {at}");
        }
        assert_eq!(mode(&target.join("day-2")), mode(&stage.tree.join("day-2")), "after a kill at effect {at}");
        tool("cmp", ["day-2/file-3"].iter().flat_map(|file| [stage.tree.join(file), target.join(file)]));
    });
    println!("{kills} kills");
}

#[test]
fn a_removal_killed_at_any_effect_is_finished_by_the_same_command_or_by_gc() {
    let (stage, backups) = Stage::new(4000);
    let kills = stage.kill_everywhere(&["backup", "rm", &backups[0]], |again, at| {
        let gone = again.status == Some(0) || again.stderr.contains("no backup");
        assert!(gone, "after a kill at effect {at}: {again:?}");
        stage.world.run(["gc", "--region", SOURCE, "--grace", "0s"]).exits(0);
        assert_eq!(only_available(&stage.world, SOURCE), backups.len() - 1);
        stage.world.run(["verify", "--region", SOURCE, "--read-data"]).exits(0);
        stage.world.run(["rebuild", "--region", SOURCE]).exits(0);
        assert_eq!(only_available(&stage.world, SOURCE), backups.len() - 1, "a removed backup came back");
    });
    println!("{kills} kills");
}

#[test]
fn gc_killed_at_any_effect_is_finished_by_the_same_command() {
    let (stage, backups) = Stage::new(5000);
    for backup in &backups {
        stage.world.run(["backup", "rm", backup]).exits(0);
    }
    let survivor = stage.world.backup(&stage.resource);
    stage.keep();
    let kills = stage.kill_everywhere(&["gc", "--region", SOURCE, "--grace", "0s"], |again, at| {
        assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
        stage.world.run(["backup", "verify", &survivor, "--read-data"]).exits(0);
        if at % 2 == 0 {
            stage.assert_gc_takes_everything(SOURCE, at);
        }
    });
    println!("{kills} kills");
}

/// Kept small, so that a reader sees what a crash can leave: nothing but staging files.
#[test]
fn a_killed_init_is_finished_by_the_same_command() {
    let scratch = tempfile::tempdir().unwrap();
    let run = |at: Option<usize>, site: &Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_offsite"));
        command.arg("init").arg("--dir").arg(site);
        if let Some(at) = at {
            command.env("OFFSITE_CRASH_AT", at.to_string());
        }
        command.output().unwrap()
    };
    for at in 1..40 {
        let site = scratch.path().join(at.to_string());
        let killed = run(Some(at), &site);
        let done = killed.status.success();
        let again = Ran::from(run(None, &site));
        if done {
            assert_eq!(again.status, Some(1), "init over a finished site: {again:?}");
            break;
        }
        assert_eq!(again.status, Some(0), "after a kill at effect {at}: {again:?}");
    }
}
