//! Listings: which items a `Describe…` call wants, in what order, and which page of them.

use std::collections::BTreeSet;

use super::CbsError;
use super::filter::{Field, Filter, FilterGiven};
use crate::tencent::CommonCode;
use crate::tencent::words::words;

const LIMIT_DEFAULT: i64 = 20;
const LIMIT_MAX: i64 = 100;

words! {
    /// The direction of a listing; the newest first by default.
    #[derive(Default)]
    Order {
        /// The lowest first.
        Asc = "ASC",
        /// The highest first.
        #[default]
        Desc = "DESC",
    }
}

words! {
    /// What listings are ordered by.
    #[derive(Default)]
    OrderField {
        /// The time of creation.
        #[default]
        CreateTime = "CREATE_TIME",
        /// The end of what was paid for; disks only.
        Deadline = "DEADLINE",
    }
}

words! {
    /// The one thing that snapshots and policies are ordered by.
    CreationOrderField {
        /// The time of creation.
        CreateTime = "CREATE_TIME",
    }
}

/// What a `Describe…` call wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<F> {
    /// Only these; empty: all. There may be very many.
    pub ids: BTreeSet<String>,
    /// Only what all of these match. Never together with `ids`.
    pub filters: Vec<Filter<F>>,
    /// The page.
    pub page: Page,
    /// The direction.
    pub order: Order,
}

/// The part of a listing that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many items to pass over.
    pub offset: usize,
    /// How many to answer with at most.
    pub limit: usize,
}

/// The members that all listing requests share, as given.
pub(super) struct ListingGiven {
    pub(super) ids: Option<Vec<String>>,
    pub(super) filters: Option<Vec<FilterGiven>>,
    pub(super) limit: Option<i64>,
    pub(super) offset: Option<i64>,
    pub(super) order: Option<Order>,
}

impl<F: Field> Listing<F> {
    pub(super) fn of(given: ListingGiven) -> Result<Self, CbsError> {
        let ids = BTreeSet::from_iter(given.ids.unwrap_or_default());
        let filters = given.filters.unwrap_or_default();
        if !ids.is_empty() && !filters.is_empty() {
            let message = "Ids and Filters cannot be given together.";
            return Err(CbsError::new(CommonCode::InvalidParameterValue, message));
        }
        let filters = filters.into_iter().map(Filter::of).collect::<Result<_, _>>()?;
        let page = Page::of(given.limit, given.offset)?;
        Ok(Self { ids, filters, page, order: given.order.unwrap_or_default() })
    }

    /// Whether an item with this id is wanted.
    pub fn selects(&self, id: &str, item: &F::Item) -> bool {
        let is_named = self.ids.is_empty() || self.ids.contains(id);
        is_named && self.filters.iter().all(|filter| filter.matches(item))
    }
}

impl Page {
    fn of(limit: Option<i64>, offset: Option<i64>) -> Result<Self, CbsError> {
        let refusal = |message: &str| CbsError::new(CommonCode::InvalidParameterValue, message);
        let limit = Some(limit.unwrap_or(LIMIT_DEFAULT)).filter(|limit| (1..=LIMIT_MAX).contains(limit));
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        Ok(Self {
            offset: usize::try_from(offset.unwrap_or_default()).map_err(|_| refusal("Offset must not be negative."))?,
            limit: limit.ok_or_else(|| refusal("Limit must be between 1 and 100."))?,
        })
    }

    /// The items of this page.
    pub fn of_items<T>(self, items: &[T]) -> &[T] {
        let rest = items.get(self.offset..).unwrap_or_default();
        &rest[..rest.len().min(self.limit)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbs::filter::SnapshotField;
    use crate::cbs::reply::Snapshot;

    #[test]
    fn pages_have_twenty_items_unless_told_and_a_hundred_at_most() {
        assert_eq!(Page::of(None, None), Ok(Page { offset: 0, limit: 20 }));
        assert_eq!(Page::of(Some(100), Some(7)), Ok(Page { offset: 7, limit: 100 }));
        for (limit, offset) in [(Some(101), None), (Some(0), None), (Some(-1), None), (None, Some(-1))] {
            let refusal = Page::of(limit, offset).unwrap_err();
            assert_eq!(refusal.code, CommonCode::InvalidParameterValue.into());
        }
    }

    #[test]
    fn a_page_beyond_the_end_is_empty() {
        let page = |offset, limit| Page { offset, limit }.of_items(&[1, 2, 3]);
        assert_eq!(page(0, 2), [1, 2]);
        assert_eq!(page(2, 2), [3]);
        assert_eq!(page(3, 2), [0; 0]);
        assert_eq!(page(usize::MAX, 100), [0; 0]);
    }

    #[test]
    fn ids_and_filters_exclude_each_other() {
        let filter = FilterGiven { name: "zone".to_owned(), values: vec!["x".to_owned()] };
        let ids = Some(vec!["snap-1".to_owned()]);
        let given = |ids, filters| ListingGiven { ids, filters, limit: None, offset: None, order: None };
        let both = Listing::<SnapshotField>::of(given(ids.clone(), Some(vec![filter]))).unwrap_err();
        assert_eq!(both.code, CommonCode::InvalidParameterValue.into());
        let listing = Listing::<SnapshotField>::of(given(ids, Some(Vec::new()))).unwrap();
        assert!(listing.selects("snap-1", &Snapshot::default()) && !listing.selects("snap-2", &Snapshot::default()));
        assert_eq!(listing.order, Order::Desc);
    }
}
