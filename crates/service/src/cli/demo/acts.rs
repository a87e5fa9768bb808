//! The acts of the story, from the first backup to the comparison after the loss of a region.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use engine::RegionContext;
use engine::backup::BackupRequest;
use engine::copy::CopyRequest;
use engine::resources::{NewResource, add_resource};
use engine::restore::RestoreRequest;
use engine::verify::{Depth, verify_region};
use model::{BackupId, ByteSize, Region, ResourceId, ResourceKind};

use super::DemoArgs;
use super::compare::compare;
use super::image::Image;
use super::input::{Input, copy_all};
use super::random::Random;
use super::story::{Story, amount, speed};
use super::tree::{Census, live_through_a_day};
use crate::app::App;
use crate::cli::{Global, backup, copy, init};
use crate::exit::Outcome;
use crate::output::{counted, print_line, say_omissions};

const FIRST_REGION: &str = "us-east-1";
const SECOND_REGION: &str = "us-west-2";

/// Every demo changes the same things.
const SEED: u64 = 2;

/// Plays all acts.
pub(super) async fn play(args: &DemoArgs, scratch: &Path, quiet: bool) -> anyhow::Result<Outcome> {
    let mut demo = Demo::set_up(args, scratch, quiet).await?;
    let image = demo.prepare(args).await?;
    let first = Arc::new(demo.app.open(&demo.first).await?);
    let resources = demo.register(&first).await?;

    demo.story.act(format_args!("Day 1: back up both in {}", demo.first))?;
    demo.back_up(&first, &resources, 1).await?;
    demo.story.act(format_args!("Day 2: 1 % of both changes; back up again, storing only what changed"))?;
    demo.live_through_a_day(image).await?;
    demo.back_up(&first, &resources, 2).await?;

    demo.story.act(format_args!("Copy all four backups to {}: only what it lacks", demo.second))?;
    demo.copy_all(&first).await?;
    demo.story.act(format_args!("Verify them in {}: open every chunk and check what is in it", demo.second))?;
    demo.verify().await?;
    demo.story.act(format_args!("Lose {}: its store, its catalog and its keys", demo.first))?;
    demo.lose(first).await?;
    demo.story.act(format_args!("Restore both days from {} and compare them with the originals", demo.second))?;
    demo.restore_and_compare().await
}

struct Demo {
    app: App,
    story: Story,
    scratch: PathBuf,
    first: Region,
    second: Region,
    random: Random,
    taken: Vec<Taken>,
    copies: Vec<BackupId>,
}

/// A resource of the story.
struct Subject {
    what: &'static str,
    kind: ResourceKind,
    file: &'static str,
}

const SUBJECTS: [Subject; 2] = [
    Subject { what: "tree", kind: ResourceKind::OpenZfs, file: "tree" },
    Subject { what: "disk image", kind: ResourceKind::Disk, file: "disk.img" },
];

/// A backup that was taken, and what it was taken of.
struct Taken {
    day: u32,
    subject: &'static Subject,
    id: BackupId,
    original: PathBuf,
}

impl Taken {
    fn label(&self) -> String {
        format!("day {} {}", self.day, self.subject.what)
    }
}

impl Demo {
    async fn set_up(args: &DemoArgs, scratch: &Path, quiet: bool) -> anyhow::Result<Self> {
        let mut story = Story::open()?;
        let end = if args.keep { "kept" } else { "removed at the end; --keep keeps it" };
        story.begin(format_args!("The scene: {} ({end})", scratch.display()))?;
        let config = init::init(&scratch.join("offsite")).await?;
        let app = App::load(&Global { config: Some(config), quiet, account: None })?;
        let (first, second) = (FIRST_REGION.parse()?, SECOND_REGION.parse()?);
        let (random, scratch) = (Random::new(SEED), scratch.to_owned());
        Ok(Self { app, story, scratch, first, second, random, taken: Vec::new(), copies: Vec::new() })
    }

    /// Where a subject lives and changes.
    fn live(&self, subject: &Subject) -> PathBuf {
        self.scratch.join("live").join(subject.file)
    }

    /// Copies the input and makes the image.
    async fn prepare(&mut self, args: &DemoArgs) -> anyhow::Result<Image> {
        let input = Input::choose(args)?;
        let source = input.dir.display().to_string();
        let [tree, image] = SUBJECTS.each_ref().map(|subject| self.live(subject));
        let complaint = input.copy_to(&tree, &self.scratch).await?;
        let mut random = Random::new(SEED);
        let made = blocking(move || {
            let census = Census::take(&tree)?;
            let image = Image::make(&image, input.bytes_max, &census.files, &mut random)?;
            Ok((census.files.len() as u64, census.bytes, image))
        });
        let (files, bytes, image) = made.await.context("failed to prepare the input")?;
        if let Some(complaint) = complaint {
            self.story.step("note", format_args!("not all of it could be copied: {complaint}"))?;
        }
        self.story
            .step("tree", format_args!("{}, {}, copied from {source}", counted(files, "file"), ByteSize(bytes)))?;
        let (size, written) = (ByteSize(image.bytes), ByteSize(image.written_bytes()));
        self.story.step("disk image", format_args!("{size}, {written} of it written, the rest holes"))?;
        Ok(image)
    }

    async fn register(&self, first: &RegionContext) -> anyhow::Result<Vec<ResourceId>> {
        let mut ids = Vec::new();
        for subject in &SUBJECTS {
            let name = Some(subject.what.to_owned());
            let new = NewResource {
                kind: subject.kind,
                path: self.live(subject),
                name,
                kms_key: None,
                exclusions: Default::default(),
            };
            ids.push(add_resource(first, &self.app.account, new).await?.id);
        }
        Ok(ids)
    }

    async fn back_up(&mut self, first: &RegionContext, resources: &[ResourceId], day: u32) -> anyhow::Result<()> {
        for (subject, resource) in SUBJECTS.iter().zip(resources) {
            let tags = vec![("day".to_owned(), day.to_string())];
            let request = BackupRequest { tags, ..BackupRequest::of(self.app.account.clone(), resource.clone()) };
            let started = Instant::now();
            let report = backup::create(&self.app, first, request).await?;
            let took = started.elapsed();
            let size = report.backup.size_bytes;
            let read = amount("read", report.bytes_read);
            let skipped = amount("skipped", size.saturating_sub(report.bytes_read));
            let stored = amount("stored", report.bytes_stored);
            self.story.step(subject.what, format_args!("{read}   {skipped}   {stored}   {}", speed(size, took)))?;
            say_omissions(&report.omissions, "--keep keeps the backups for a closer look");
            let original = self.scratch.join("live").join(subject.file);
            self.taken.push(Taken { day, subject, id: report.backup.id, original });
        }
        Ok(())
    }

    /// Keeps a copy of day 1 to compare with, then changes what is live.
    async fn live_through_a_day(&mut self, image: Image) -> anyhow::Result<()> {
        let (live, kept) = (self.scratch.join("live"), self.scratch.join("day-1"));
        let [tree, disk] = SUBJECTS.each_ref().map(|subject| self.live(subject));
        for taken in &mut self.taken {
            taken.original = kept.join(taken.subject.file);
        }
        let mut random = std::mem::replace(&mut self.random, Random::new(SEED));
        copy_all(&live, &kept).await?;
        let lived = blocking(move || {
            Ok((live_through_a_day(&tree, &mut random)?, image.live_through_a_day(&disk, &mut random)?))
        });
        let (day, blocks) = lived.await.context("failed to change the input")?;
        self.story.step("tree", day)?;
        self.story.step("disk image", format_args!("{} of 4 KiB rewritten", counted(blocks, "block")))?;
        Ok(())
    }

    async fn copy_all(&mut self, first: &Arc<RegionContext>) -> anyhow::Result<()> {
        let targets = [Arc::new(self.app.open(&self.second).await?)];
        for taken in &self.taken {
            let request = CopyRequest::of(self.app.account.clone(), taken.id.clone());
            let request = CopyRequest { copy_tags: true, ..request };
            let started = Instant::now();
            let results = copy::copy(&self.app, first, &targets, request).await?;
            let took = started.elapsed();
            for (_, result) in results {
                let report = result?;
                let (moved, held) = (amount("moved", report.bytes_moved), amount("there already", report.bytes_held));
                let speed = speed(report.bytes_moved, took);
                self.story.step(&taken.label(), format_args!("{moved}   {held}   {speed}"))?;
                self.copies.push(report.backup.id);
            }
        }
        Ok(())
    }

    async fn verify(&mut self) -> anyhow::Result<()> {
        let second = self.app.open(&self.second).await?;
        let started = Instant::now();
        let accounts = std::slice::from_ref(&self.app.account);
        let verifying = self.app.watch(|progress| verify_region(&second, accounts, Depth::ReadData, None, progress));
        let report = verifying.await?;
        let took = started.elapsed();
        let bytes = report.backups.iter().map(|(.., report)| report.bytes).sum();
        let chunks = report.backups.iter().map(|(.., report)| report.chunks).sum();
        for (copy, taken) in self.copies.iter().zip(&self.taken) {
            let Some((.., report)) = report.backups.iter().find(|(_, id, _)| id == copy) else {
                bail!("{copy} is not among the backups of {}", self.second);
            };
            if let Some(fault) = report.faults.first() {
                bail!("{copy} is damaged: {}: {}", fault.object, fault.cause);
            }
            let (packs, checked) = (counted(report.packs, "pack"), amount("checked", report.bytes));
            self.story.step(&taken.label(), format_args!("{checked}   {packs}, all good"))?;
        }
        let (checked, chunks) = (amount("checked", bytes), counted(chunks, "chunk"));
        self.story.step("together", format_args!("{checked}   {}, {chunks} opened", speed(bytes, took)))?;
        Ok(())
    }

    /// Deletes everything of the first region and makes sure that it is of no use any more.
    async fn lose(&mut self, first: Arc<RegionContext>) -> anyhow::Result<()> {
        first.catalog.close().await;
        drop(first);
        let dir = self.scratch.join("offsite").join(self.first.as_str());
        let bytes = Census::take(&dir).map(|census| census.bytes).unwrap_or_default();
        std::fs::remove_dir_all(&dir).with_context(|| format!("failed to delete {}", dir.display()))?;
        let Err(error) = self.app.open(&self.first).await else {
            bail!("{} can still be opened", self.first);
        };
        self.story.step("deleted", format_args!("{}: {}", dir.display(), ByteSize(bytes)))?;
        self.story.step("so that now", error)?;
        Ok(())
    }

    async fn restore_and_compare(&mut self) -> anyhow::Result<Outcome> {
        let second = self.app.open(&self.second).await?;
        let mut all_equal = true;
        for (taken, copy) in self.taken.iter().zip(&self.copies) {
            let place = self.scratch.join("restored").join(format!("day-{}", taken.day));
            std::fs::create_dir_all(&place).with_context(|| format!("failed to make {}", place.display()))?;
            let target = place.join(taken.subject.file);
            let request = RestoreRequest {
                account: self.app.account.clone(),
                backup: copy.clone(),
                target: target.clone(),
                paths: Vec::new(),
                overwrite: false,
            };
            let started = Instant::now();
            let report = backup::restore(&self.app, &second, request).await?;
            let took = started.elapsed();
            say_omissions(&report.omissions, "--keep keeps the backups for a closer look");
            let (original, kind) = (taken.original.clone(), taken.subject.kind.source_kind());
            let verdict = blocking(move || compare(kind, &original, &target)).await?;
            let restored = amount("restored", report.bytes);
            let speed = speed(report.bytes, took);
            self.story.step(&taken.label(), format_args!("{restored}   {speed}   {}", verdict.text))?;
            verdict.differences.iter().try_for_each(print_line)?;
            all_equal &= verdict.differences.is_empty();
        }
        if all_equal {
            self.story.end("All equal.")?;
            return Ok(Outcome::Done);
        }
        bail!("what was restored differs from the originals")
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the work was interrupted")?
}
