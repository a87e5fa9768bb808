//! Every kind of damage to every kind of object, met by every operation: noticed and named, healthy
//! backups unaffected, and never a wrong byte restored.

use std::path::{Path, PathBuf};

use testkit::corpus::{Content, Random};

use crate::copying::flip_bit;
use crate::world::{Ran, SOURCE, TARGET, World, files_below, tool};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    Pack,
    Record,
    Format,
    Keys,
    Catalog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Missing,
    Empty,
    Truncated,
    Flipped,
    Swapped,
}

const OBJECTS: [Object; 5] = [Object::Pack, Object::Record, Object::Format, Object::Keys, Object::Catalog];
const DAMAGES: [Damage; 5] = [Damage::Missing, Damage::Empty, Damage::Truncated, Damage::Flipped, Damage::Swapped];

/// Two resources with a backup each; the first backup is the victim, the second one is healthy.
struct Scene {
    world: World,
    victim: String,
    healthy: String,
    pristine: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let mut backups = Vec::new();
        for name in ["victim", "healthy"] {
            let tree = world.path(name);
            std::fs::create_dir(&tree).unwrap();
            for file in 0..20_u32 {
                let text = format!("{name} {file} ").repeat(40 * (file as usize + 1));
                std::fs::write(tree.join(format!("file-{file}")), text).unwrap();
            }
            backups.push(world.backup(&world.add(&tree)));
        }
        let pristine = world.path("pristine");
        tool("cp", ["-a".as_ref(), world.site().as_os_str(), pristine.as_os_str()]);
        let healthy = backups.pop().unwrap();
        let victim = backups.pop().unwrap();
        Self { world, victim, healthy, pristine }
    }

    /// Puts everything back as it was.
    fn reset(&self) {
        std::fs::remove_dir_all(self.world.site()).unwrap();
        tool("cp", ["-a".as_ref(), self.pristine.as_os_str(), self.world.site().as_os_str()]);
    }

    /// The packs that the victim's record names.
    fn packs_of_victim(&self) -> Vec<PathBuf> {
        let record = std::fs::read(self.world.record(SOURCE, &self.victim)).unwrap();
        let is_named = |pack: &PathBuf| {
            let name = pack.file_name().unwrap().to_str().unwrap();
            let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&name[2 * i..2 * i + 2], 16).unwrap()).collect();
            record.windows(32).any(|window| window == bytes)
        };
        self.world.packs(SOURCE).into_iter().filter(is_named).collect()
    }

    /// The object, and one of the same kind to swap it with.
    fn find(&self, object: Object) -> (PathBuf, PathBuf) {
        let of = |region: &str, file: &str| self.world.region(region).join(file);
        match object {
            Object::Pack => {
                let mine = self.packs_of_victim();
                let other: Vec<_> = self.world.packs(SOURCE).into_iter().filter(|pack| !mine.contains(pack)).collect();
                (mine[0].clone(), other[0].clone())
            }
            Object::Record => (self.world.record(SOURCE, &self.victim), self.world.record(SOURCE, &self.healthy)),
            Object::Format => (of(SOURCE, "store/format.json"), of(TARGET, "store/format.json")),
            Object::Keys => (of(SOURCE, "kms.json"), of(TARGET, "kms.json")),
            Object::Catalog => (of(SOURCE, "catalog.db"), of(TARGET, "catalog.db")),
        }
    }

    fn damage(&self, object: Object, damage: Damage) {
        let (path, sibling) = self.find(object);
        for companion in ["catalog.db-wal", "catalog.db-shm"] {
            if object == Object::Catalog {
                drop(std::fs::remove_file(path.with_file_name(companion)));
            }
        }
        let len = path.metadata().unwrap().len();
        match damage {
            Damage::Missing => std::fs::remove_file(&path).unwrap(),
            Damage::Empty => std::fs::write(&path, "").unwrap(),
            Damage::Truncated => std::fs::File::options().write(true).open(&path).unwrap().set_len(len / 2).unwrap(),
            Damage::Flipped => {
                flip_bit(&path, if object == Object::Catalog { 5 } else { usize::try_from(len).unwrap() / 2 })
            }
            Damage::Swapped => {
                let aside = self.world.path("aside");
                std::fs::rename(&path, &aside).unwrap();
                std::fs::rename(&sibling, &path).unwrap();
                std::fs::rename(&aside, &sibling).unwrap();
            }
        }
    }

    /// Asserts that whatever was restored is right, and tells whether all of it is there.
    #[track_caller]
    fn restored_rightly(&self, name: &str, target: &Path) -> bool {
        let files = files_below(target);
        for file in &files {
            let original = self.world.path(name).join(file.file_name().unwrap());
            assert_eq!(
                std::fs::read(file).unwrap(),
                std::fs::read(original).unwrap(),
                "wrong bytes in {}",
                file.display()
            );
        }
        files.len() == 20
    }
}

/// Whether the failure says which object it is about.
fn names_it(object: Object, ran: &Ran) -> bool {
    let said = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
    let words: &[&str] = match object {
        Object::Pack => &["pack"],
        Object::Record => &["record"],
        Object::Format => &["format.json", "store"],
        Object::Keys => &["kms.json", "key"],
        Object::Catalog => &["catalog", "store"],
    };
    words.iter().any(|word| said.contains(word))
}

#[test]
fn damage_is_noticed_and_named_and_nothing_wrong_is_ever_restored() {
    let scene = Scene::new();
    for object in OBJECTS {
        for damage in DAMAGES {
            scene.damage(object, damage);
            let context = format!("{damage:?} {object:?}");

            let verified = scene.world.run(["verify", "--region", SOURCE, "--read-data"]);
            assert_eq!(verified.status, Some(1), "verify after {context}: {verified:?}");
            assert!(names_it(object, &verified), "verify after {context}: {verified:?}");

            let target = scene.world.path("restored");
            let ran = scene.world.restore(&scene.victim, &target);
            let whole = scene.restored_rightly("victim", &target);
            assert!(ran.status == Some(0) && whole || matches!(ran.status, Some(1 | 3)), "{context}: {ran:?}");
            drop(std::fs::remove_dir_all(&target));

            let ran = scene.world.run(["copy", &scene.victim, "--to", TARGET]);
            if ran.status == Some(0) {
                let copy = ran.id();
                scene.world.run(["backup", "verify", &copy, "--read-data"]).exits(0);
            } else {
                assert_eq!(ran.status, Some(1), "copy after {context}: {ran:?}");
                assert!(names_it(object, &ran), "copy after {context}: {ran:?}");
            }

            if matches!(object, Object::Pack | Object::Record) && damage != Damage::Swapped {
                scene.world.restore(&scene.healthy, &target).exits(0);
                assert!(scene.restored_rightly("healthy", &target), "the healthy backup after {context}");
                std::fs::remove_dir_all(&target).unwrap();
            }
            scene.reset();
        }
    }
}

/// With --overwrite, too: a file stays until the one that is to replace it has come whole.
#[test]
fn what_a_damaged_backup_cannot_replace_stays() {
    let (world, names) = (World::new(), ["a", "b", "c", "d"]);
    let (tree, target) = (world.path("tree"), world.path("restored"));
    std::fs::create_dir(&tree).unwrap();
    for (seed, name) in (0..).zip(names) {
        let mut file = std::fs::File::create(tree.join(name)).unwrap();
        Content::Incompressible.write(&mut file, &mut Random::new(seed), 2_000_000).unwrap();
    }
    let backup = world.backup(&world.add(&tree));
    let content = |tree: &Path, name: &str| std::fs::read(tree.join(name)).unwrap();
    let mut kept_max = 0;
    for (pack, eighth) in world.packs(SOURCE).into_iter().flat_map(|pack| (1..8).map(move |n| (pack.clone(), n))) {
        std::fs::create_dir(&target).unwrap();
        names.iter().for_each(|name| std::fs::write(target.join(name), "mine").unwrap());
        let flip = || flip_bit(&pack, usize::try_from(pack.metadata().unwrap().len()).unwrap() * eighth / 8);
        flip();
        let ran = world.run(["backup", "restore", &backup, target.to_str().unwrap(), "--overwrite"]);
        flip();
        assert_eq!(files_below(&target).len(), names.len(), "nothing is lost or left: {ran:?}");
        let (kept, come): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| content(&target, name) == b"mine");
        come.iter().for_each(|name| assert!(content(&target, name) == content(&tree, name), "{name}"));
        // Where the manifest is damaged nothing comes.
        let status = if kept.is_empty() {
            0
        } else if come.is_empty() {
            1
        } else {
            3
        };
        assert_eq!(ran.status, Some(status), "{kept:?} {ran:?}");
        kept_max = kept_max.max(if status == 3 { kept.len() } else { 0 });
        std::fs::remove_dir_all(&target).unwrap();
    }
    assert!(kept_max > 0, "no damage was in the bytes of files");
}

#[test]
fn a_rebuild_after_damage_shows_only_backups_that_are_whole() {
    let scene = Scene::new();
    for object in OBJECTS {
        for damage in DAMAGES {
            scene.damage(object, damage);
            let ran = scene.world.run(["rebuild", "--region", SOURCE]);
            assert!(ran.status.is_some_and(|status| status <= 3), "{damage:?} {object:?}: {ran:?}");
            if object == Object::Catalog {
                assert_eq!(ran.status, Some(0), "the store alone is enough: {ran:?}");
                scene.world.run(["verify", "--region", SOURCE, "--read-data"]).exits(0);
            }
            // A damaged pack of the right size is found by reading it, not by a rebuild.
            let target = scene.world.path("restored");
            let restored = scene.world.restore(&scene.victim, &target);
            let whole = scene.restored_rightly("victim", &target);
            assert!(restored.status != Some(0) || whole, "{damage:?} {object:?}: {restored:?}");
            drop(std::fs::remove_dir_all(&target));
            scene.reset();
        }
    }
}

#[test]
fn a_damaged_pack_is_mended_from_the_other_region() {
    let scene = Scene::new();
    let copy = scene.world.copy(&scene.victim);
    for damage in [Damage::Missing, Damage::Empty, Damage::Truncated, Damage::Flipped] {
        scene.damage(Object::Pack, damage);
        scene.world.run(["verify", "--region", SOURCE]).exits(1);
        scene.world.run(["verify", "--region", SOURCE, "--repair-from", TARGET]).exits(0);
        scene.world.run(["verify", "--region", SOURCE, "--read-data"]).exits(0);
    }
    scene.world.run(["backup", "verify", &copy, "--read-data"]).exits(0);
}

#[test]
fn a_quick_check_sees_missing_and_shortened_packs() {
    let scene = Scene::new();
    for damage in [Damage::Missing, Damage::Empty, Damage::Truncated] {
        scene.damage(Object::Pack, damage);
        let ran = scene.world.run(["backup", "verify", &scene.victim, "--quick"]).exits(1);
        assert!(names_it(Object::Pack, &ran), "{ran:?}");
        scene.reset();
    }
    scene.world.run(["backup", "verify", &scene.victim, "--quick"]).exits(0);
}

#[test]
fn a_rebuilt_catalog_is_equal_in_every_field() {
    let scene = Scene::new();
    let tagged = {
        let resource = scene.world.show(&scene.victim)["resource_id"].as_str().unwrap().to_owned();
        scene.world.run(["backup", "create", &resource, "--tag", "b=1", "--tag", "a=2"]).id()
    };
    let copy = scene.world.run(["copy", &tagged, "--to", TARGET, "--copy-tags"]).id();
    let shown = || -> Vec<serde_json::Value> {
        let mut all: Vec<_> = [&scene.victim, &scene.healthy, &tagged, &copy].map(|id| scene.world.show(id)).into();
        for region in [SOURCE, TARGET] {
            all.push(scene.world.run(["backup", "ls", "--region", region, "--json"]).json());
            all.push(scene.world.run(["resource", "ls", "--region", region, "--json"]).json());
        }
        all
    };
    let before = shown();
    for region in [SOURCE, TARGET] {
        std::fs::remove_file(scene.world.region(region).join("catalog.db")).unwrap();
        let lost = scene.world.run(["backup", "ls", "--region", region]).exits(1);
        assert!(lost.stderr.contains("rebuild"), "{}", lost.stderr);
        scene.world.run(["rebuild", "--region", region]).exits(0);
    }
    assert_eq!(shown(), before);
    // What is rebuilt is worked with as before.
    scene.world.run(["gc", "--region", SOURCE, "--grace", "0s"]).exits(0);
    scene.world.run(["verify", "--region", SOURCE, "--read-data"]).exits(0);
}
