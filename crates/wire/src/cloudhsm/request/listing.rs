//! Operations that list, page by page.

use super::super::error::CloudHsmError;
use super::super::filter::{BackupFilters, ClusterFilters, FILTER_NAMES, Filters};
use super::super::scalar::{BACKUPS_MAX_RESULTS, CLUSTERS_MAX_RESULTS, NEXT_TOKEN, RESOURCE_ID, TAGS_MAX_RESULTS};
use super::Check;
use crate::aws::next_token::NextToken;
use crate::aws::shape::structure;

structure! {
    /// Lists backups, or those that others share with the caller.
    DescribeBackups {
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
        max_results: Option<i64> = "MaxResults" => &BACKUPS_MAX_RESULTS,
        filters: Option<Filters> = "Filters" => &FILTER_NAMES,
        shared: Option<bool> = "Shared",
        /// By the time of generation. The newest come first otherwise.
        sort_ascending: Option<bool> = "SortAscending",
    }

    /// Lists clusters.
    DescribeClusters {
        filters: Option<Filters> = "Filters" => &FILTER_NAMES,
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
        max_results: Option<i64> = "MaxResults" => &CLUSTERS_MAX_RESULTS,
    }

    /// Lists the tags of a cluster or backup.
    ListTags {
        resource_id: String = "ResourceId" => &RESOURCE_ID,
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
        max_results: Option<i64> = "MaxResults" => &TAGS_MAX_RESULTS,
    }
}

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many items it has at most.
    pub items_max: usize,
    /// The cursor of the last item before it; none for the first page.
    pub after: Option<String>,
    tokens: NextToken,
}

impl Page {
    /// The token that leads to what is behind `cursor`.
    ///
    /// # Panics
    /// When `cursor` is longer than [`crate::aws::next_token::CURSOR_BYTES_MAX`].
    pub fn next_token(&self, cursor: &str) -> String {
        self.tokens.seal(cursor)
    }

    /// An empty token means the first page, as none does.
    fn read(tokens: NextToken, given: Option<&str>, wish: Option<i64>, items_max: i64) -> Result<Self, CloudHsmError> {
        let refused = || CloudHsmError::invalid("The NextToken is not one of this request.");
        let after = given.filter(|token| !token.is_empty());
        let after = after.map(|token| tokens.open(token).ok_or_else(refused)).transpose()?;
        let items_max = usize::try_from(wish.unwrap_or(items_max)).unwrap_or_default();
        Ok(Self { items_max, after, tokens })
    }
}

impl DescribeBackups {
    /// What the listing is narrowed by.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` for names and values that there are not.
    pub fn backup_filters(&self) -> Result<BackupFilters, CloudHsmError> {
        self.filters.as_ref().map(BackupFilters::read).transpose().map(Option::unwrap_or_default)
    }

    /// Whether backups of others are asked for, not one's own.
    pub fn is_of_others(&self) -> bool {
        self.shared == Some(true)
    }

    /// Whether the oldest come first.
    pub fn is_ascending(&self) -> bool {
        self.sort_ascending == Some(true)
    }

    /// The page; of 50 backups when nothing else is wished for.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` for a token of another listing.
    pub fn page(&self) -> Result<Page, CloudHsmError> {
        let conditions = (&self.filters, self.is_of_others(), self.is_ascending());
        let tokens = NextToken::binding("DescribeBackups", &conditions);
        Page::read(tokens, self.next_token.as_deref(), self.max_results, *BACKUPS_MAX_RESULTS.end())
    }
}

impl DescribeClusters {
    /// What the listing is narrowed by.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` for names and values that there are not.
    pub fn cluster_filters(&self) -> Result<ClusterFilters, CloudHsmError> {
        self.filters.as_ref().map(ClusterFilters::read).transpose().map(Option::unwrap_or_default)
    }

    /// The page; of 25 clusters when nothing else is wished for.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` for a token of another listing.
    pub fn page(&self) -> Result<Page, CloudHsmError> {
        let tokens = NextToken::binding("DescribeClusters", &self.filters);
        Page::read(tokens, self.next_token.as_deref(), self.max_results, *CLUSTERS_MAX_RESULTS.end())
    }
}

impl ListTags {
    /// The page; of 100 tags when nothing else is wished for. A tag's key can be too long for a cursor: count.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` for a token of another listing.
    pub fn page(&self) -> Result<Page, CloudHsmError> {
        let tokens = NextToken::binding("ListTags", &self.resource_id);
        Page::read(tokens, self.next_token.as_deref(), self.max_results, *TAGS_MAX_RESULTS.end())
    }
}

impl Check for DescribeBackups {
    fn check(&self) -> Result<(), CloudHsmError> {
        self.backup_filters()?;
        self.page().map(drop)
    }
}

impl Check for DescribeClusters {
    fn check(&self) -> Result<(), CloudHsmError> {
        self.cluster_filters()?;
        self.page().map(drop)
    }
}

impl Check for ListTags {
    fn check(&self) -> Result<(), CloudHsmError> {
        self.page().map(drop)
    }
}
