//! The enumerations of the CloudHSM model, and the words that are as good as one.

use crate::aws::words::words;

words! {
    /// Where a backup is in its life.
    BackupState {
        /// Being made, or being received as a copy.
        CreateInProgress = "CREATE_IN_PROGRESS",
        /// Complete: can be copied, shared and used for a cluster.
        Ready = "READY",
        /// Gone, or a copy that failed.
        Deleted = "DELETED",
        /// Removed, and kept for a week in case that was a mistake.
        PendingDeletion = "PENDING_DELETION",
    }

    /// When backups are made.
    BackupPolicy {
        /// At least daily, and whenever an HSM comes or goes.
        Default = "DEFAULT",
    }

    /// The unit of a retention.
    BackupRetentionType {
        Days = "DAYS",
    }

    /// Where a cluster is in its life.
    ClusterState {
        CreateInProgress = "CREATE_IN_PROGRESS",
        /// Waits for its certificate, see `InitializeCluster`.
        Uninitialized = "UNINITIALIZED",
        InitializeInProgress = "INITIALIZE_IN_PROGRESS",
        /// Waits to be activated on its HSM.
        Initialized = "INITIALIZED",
        Active = "ACTIVE",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        /// Its type is changing.
        ModifyInProgress = "MODIFY_IN_PROGRESS",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        Deleted = "DELETED",
        Degraded = "DEGRADED",
    }

    /// Where an HSM is in its life.
    HsmState {
        CreateInProgress = "CREATE_IN_PROGRESS",
        Active = "ACTIVE",
        Degraded = "DEGRADED",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        Deleted = "DELETED",
    }

    /// Which keys and algorithms a cluster allows.
    ClusterMode {
        /// Those that are validated.
        Fips = "FIPS",
        /// All.
        NonFips = "NON_FIPS",
    }

    /// The IP versions of a cluster.
    NetworkType {
        Ipv4 = "IPV4",
        DualStack = "DUALSTACK",
    }

    /// The kind of an HSM. The model has a pattern for it; these are the two that exist.
    HsmType {
        /// FIPS mode only.
        Hsm1Medium = "hsm1.medium",
        /// Both modes.
        Hsm2mMedium = "hsm2m.medium",
    }
}
