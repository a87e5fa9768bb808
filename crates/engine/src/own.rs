//! What is offsite's own in the trees that are backed up.
//!
//! A store that is backed up into itself would grow with every backup, and a catalog that is read while it is written to is of no use. Regions may lie on file systems that do not answer: what cannot be found in time is not left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capture::Place;
use futures::future::join_all;

use crate::context::{OwnPlace, RegionContext};
use crate::error::{EngineError, ErrorKind};
use crate::medium::{PATIENCE, in_time};

/// The places that backups in a region leave out, as far as they can be found now.
pub(crate) async fn find_own(ctx: &RegionContext) -> Arc<[Place]> {
    // One look for each directory: where one hangs, all in it do.
    let mut by_directory: BTreeMap<PathBuf, Vec<OwnPlace>> = BTreeMap::new();
    for place in &*ctx.left_out {
        let directory = place.path.parent().unwrap_or(&place.path).to_owned();
        by_directory.entry(directory).or_default().push(place.clone());
    }
    let looks = by_directory.into_iter().map(|(directory, places)| async move {
        let find = move |_: &Path| places.iter().filter_map(|own| Place::find(&own.path, &own.what).ok()).collect();
        in_time::<Vec<Place>>(&directory, PATIENCE, find).await.unwrap_or_default()
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// Refuses a path that is, or lies in, what is offsite's own.
pub(crate) async fn check_not_own(ctx: &RegionContext, path: &Path) -> Result<(), EngineError> {
    let own = find_own(ctx).await;
    for part in path.ancestors() {
        let Ok(place) = Place::find(part, "") else { continue };
        if let Some(own) = own.iter().find(|own| own.is_same(&place)) {
            let what = own.what();
            let relation = if part == path { "is" } else { "is in" };
            let message = format!("{} {relation} {what}, which is not backed up", path.display());
            let hint = "name what the region is to hold backups of; `offsite copy` keeps these in another region, too";
            return Err(EngineError::refused(ErrorKind::Invalid, message).with_hint(hint));
        }
    }
    Ok(())
}
