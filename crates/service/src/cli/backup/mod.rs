//! `offsite backup`: the life of backups in one region.

mod create;
mod files;
mod forget;
mod list;
mod remove;
mod restore;
mod show;
mod verify;
mod view;

use clap::{Args, Subcommand};
use engine::manifest_view::cat;
use model::RelPath;

use super::arguments::{BackupName, path_parser};
use crate::app::App;
use crate::exit::Outcome;
use crate::output::Stdout;

pub(super) use create::create;
pub(super) use restore::restore;
pub(super) use view::BackupView;

/// The `offsite backup` commands.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Back up a resource: only what changed since its last backup is stored. Prints the backup's id.
    Create(create::CreateArgs),
    /// List backups, newest first.
    Ls(list::ListArgs),
    /// Show a backup.
    Show(show::ShowArgs),
    /// List the files of a backup.
    Files(files::FilesArgs),
    /// Write a file of a backup, or a whole disk image, to standard output.
    Cat(CatArgs),
    /// Remove backups. Their packs stay until `offsite gc` finds that no other backup needs them.
    Rm(remove::RemoveArgs),
    /// Remove the backups that no rule keeps, such as --keep-daily 7: each resource's by themselves. Their packs stay until
    /// `offsite gc`.
    Forget(forget::ForgetArgs),
    /// Check that every byte of a backup is in its region's store.
    Verify(verify::VerifyArgs),
    /// Restore a backup, or parts of it.
    Restore(restore::RestoreArgs),
}

/// Arguments of `offsite backup cat`.
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// The backup that has the file, or a resource, for its latest one.
    #[arg(value_name = "BACKUP")]
    name: BackupName,
    /// The file's path in the backup; not needed for a disk.
    #[arg(default_value = ".", value_parser = path_parser())]
    path: RelPath,
}

pub(super) async fn run(app: &App, command: BackupCommand) -> anyhow::Result<Outcome> {
    match command {
        BackupCommand::Create(args) => create::run(app, args).await,
        BackupCommand::Ls(args) => list::run(app, &args).await,
        BackupCommand::Show(args) => show::run(app, &args).await,
        BackupCommand::Files(args) => files::run(app, &args).await,
        BackupCommand::Cat(args) => {
            let (ctx, row) = app.find_backup(&args.name).await?.open().await?;
            cat(&ctx, &app.account, &row.id, &args.path, &mut Stdout::open()?).await?;
            Ok(Outcome::Done)
        }
        BackupCommand::Rm(args) => remove::run(app, &args).await,
        BackupCommand::Forget(args) => forget::run(app, &args).await,
        BackupCommand::Verify(args) => verify::run(app, &args).await,
        BackupCommand::Restore(args) => restore::run(app, args).await,
    }
}
