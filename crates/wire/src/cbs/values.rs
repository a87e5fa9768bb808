//! Words that CBS uses for states, types and choices.

use crate::tencent::words::words;

words! {
    /// Where a snapshot is in its life. There is no word for failure: a failed one is removed.
    #[derive(Default)]
    SnapshotState {
        /// It is being taken from a disk.
        #[default]
        Creating = "CREATING",
        /// Complete: it can be copied, rolled back and deleted.
        Normal = "NORMAL",
        /// It is being rolled back onto its disk.
        Rollbacking = "ROLLBACKING",
        /// It is being received from another region.
        CopyingFromRemote = "COPYING_FROM_REMOTE",
        /// It was received and is being verified.
        CheckingCopied = "CHECKING_COPIED",
        /// It waits for reclamation.
        ToRecycle = "TORECYCLE",
    }
}

words! {
    /// Whether a snapshot is the caller's own.
    #[derive(Default)]
    SnapshotType {
        /// The caller's own.
        #[default]
        PrivateSnapshot = "PRIVATE_SNAPSHOT",
        /// Shared to the caller by another account.
        SharedSnapshot = "SHARED_SNAPSHOT",
    }
}

words! {
    /// How a snapshot is kept.
    SnapshotMode {
        /// In the region's snapshot storage.
        StandardSnapshot = "STANDARD_SNAPSHOT",
        /// Beside its disk.
        InstantSnapshot = "INSTANT_SNAPSHOT",
    }
}

words! {
    /// What a disk is used for.
    #[derive(Default)]
    DiskUsage {
        /// An operating system is on it.
        SystemDisk = "SYSTEM_DISK",
        /// Data is on it.
        #[default]
        DataDisk = "DATA_DISK",
    }
}

words! {
    /// Where a disk is in its life.
    #[derive(Default)]
    DiskState {
        /// Ready, at no instance.
        #[default]
        Unattached = "UNATTACHED",
        /// On its way to an instance.
        Attaching = "ATTACHING",
        /// At an instance.
        Attached = "ATTACHED",
        /// On its way from an instance.
        Detaching = "DETACHING",
        /// It is being made larger.
        Expanding = "EXPANDING",
        /// A snapshot is being rolled back onto it.
        Rollbacking = "ROLLBACKING",
        /// It waits for reclamation.
        ToRecycle = "TORECYCLE",
        /// It is being copied.
        Dumping = "DUMPING",
    }
}

words! {
    /// The medium of a disk.
    #[derive(Default)]
    DiskType {
        /// Of old disks only.
        CloudBasic = "CLOUD_BASIC",
        /// Premium.
        #[default]
        CloudPremium = "CLOUD_PREMIUM",
        /// Balanced SSD.
        CloudBssd = "CLOUD_BSSD",
        /// SSD.
        CloudSsd = "CLOUD_SSD",
        /// Enhanced SSD.
        CloudHssd = "CLOUD_HSSD",
        /// Tremendous SSD; only bought together with an instance.
        CloudTssd = "CLOUD_TSSD",
    }
}

words! {
    /// How a disk is paid for.
    #[derive(Default)]
    DiskChargeType {
        /// For months in advance.
        Prepaid = "PREPAID",
        /// By the hour.
        #[default]
        PostpaidByHour = "POSTPAID_BY_HOUR",
        /// With its dedicated cluster.
        CdcPaid = "CDCPAID",
    }
}

words! {
    /// What happens when a prepaid disk's time is over.
    #[derive(Default)]
    RenewFlag {
        /// Tell, and renew.
        NotifyAndAutoRenew = "NOTIFY_AND_AUTO_RENEW",
        /// Tell, and let it end.
        #[default]
        NotifyAndManualRenew = "NOTIFY_AND_MANUAL_RENEW",
        /// Let it end.
        DisableNotifyAndManualRenew = "DISABLE_NOTIFY_AND_MANUAL_RENEW",
    }
}

words! {
    /// The only word for a disk that is to be encrypted.
    Encrypt {
        /// Encrypt it.
        Encrypt = "ENCRYPT",
    }
}

words! {
    /// The generation of a disk's encryption.
    EncryptType {
        /// The first.
        V1 = "ENCRYPT_V1",
        /// The second.
        V2 = "ENCRYPT_V2",
    }
}

words! {
    /// What a new disk is formatted with.
    FileSystemType {
        /// ext4.
        Ext4 = "ext4",
        /// XFS.
        Xfs = "xfs",
    }
}

words! {
    /// How a disk is attached to a bare-metal instance.
    AttachMode {
        /// By a physical function.
        Pf = "PF",
        /// By a virtual function.
        Vf = "VF",
    }
}

words! {
    /// Whether a scheduled snapshot policy is at work.
    #[derive(Default)]
    AutoSnapshotPolicyState {
        /// It is.
        #[default]
        Normal = "NORMAL",
        /// It is not, since the account is in arrears.
        Isolated = "ISOLATED",
    }
}

words! {
    /// What is done about a share.
    SharePermission {
        /// Share.
        Share = "SHARE",
        /// Share no longer.
        Cancel = "CANCEL",
    }
}
