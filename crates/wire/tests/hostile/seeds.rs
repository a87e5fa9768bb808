//! Sound requests and their parts, to be made hostile.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Requests to AWS services: the contract's examples V1 and V2.
pub(crate) fn aws() -> Vec<Vec<u8>> {
    let body = r#"{"SourceBackupId": "backup-0abc123456789cba7", "SourceRegion": "us-east-2", "ClientRequestToken": "a803813d-de49-4f5c-97a8-25f1375a8813"}"#;
    let common = "host: fsx.us-west-1.amazonaws.com\ncontent-type: application/x-amz-json-1.1\n\
                  x-amz-target: AWSSimbaAPIService_v20180301.CopyBackup";
    let header = format!(
        "POST /\n{common}\nx-amz-date: 20260115T120000Z\nauthorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/20260115/us-west-1/fsx/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
         Signature=f62c9b43c9cb85eb3f750dae1145058de574542a6c1244f52d0c57263883f2ba\n\n{body}"
    );
    let query = format!(
        "POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260115%2Fus-west-1%2Ffsx\
         %2Faws4_request&X-Amz-Date=20260115T120000Z&X-Amz-Expires=900\
         &X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target\
         &X-Amz-Signature=6108e3591783e327160482368c3112b76d6829f9eed1d4a25d3d2b6ed6595862\n{common}\n\n{body}"
    );
    vec![header.into(), query.into()]
}

/// Requests to CBS: the contract's examples T1, T3 and V1a.
pub(crate) fn tencent() -> Vec<Vec<u8>> {
    let scope = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cbs/tc3_request";
    let signed = |signature: &str| {
        format!(
            "host: cbs.tencentcloudapi.com\nx-tc-action: CopySnapshotCrossRegions\nx-tc-version: 2017-03-12\n\
             x-tc-region: ap-guangzhou\nx-tc-timestamp: 1551113065\nauthorization: TC3-HMAC-SHA256 \
             Credential={scope}, SignedHeaders=content-type;host, Signature={signature}"
        )
    };
    let json = format!(
        "POST /\ncontent-type: application/json\n{}\n\n{}",
        signed("99405fae126d7184f166716bc5b58de94a68ecc88cb2ceb3d32f038ad7b5813b"),
        r#"{"DestinationRegions": ["ap-beijing"], "SnapshotId": "snap-ckgjwkqh"}"#
    );
    let query = format!(
        "GET /?DestinationRegions.0=ap-beijing&SnapshotId=snap-ckgjwkqh\n\
         content-type: application/x-www-form-urlencoded\n{}\n\n",
        signed("b71db7185a045bc71bc838b907399c3c3b0ac2f68c0b67ae782500b084e78e05")
    );
    let first = "Action=CopySnapshotCrossRegions&DestinationRegions.0=ap-beijing&Language=en-US&Nonce=11886\
                 &Region=ap-guangzhou&RequestClient=SDK_PYTHON_3.1.175&SecretId=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE\
                 &SignatureMethod=HmacSHA1&SnapshotId=snap-ckgjwkqh&Timestamp=1551113065&Version=2017-03-12\
                 &Signature=BmA%2FDzCTUN8TwIHfIK1TZiOWAxA%3D";
    let first = format!("GET /?{first}\nhost: cbs.tencentcloudapi.com\n\n");
    vec![json.into(), query.into(), first.into()]
}

/// Operations of FSx with their bodies.
pub(crate) fn fsx() -> Vec<Vec<u8>> {
    let all = [
        r#"CopyBackup
{"ClientRequestToken":"a803813d","SourceBackupId":"backup-0abc123456789cba7","SourceRegion":"us-east-2","CopyTags":true,"KmsKeyId":"alias/aws/fsx","Tags":[{"Key":"Name","Value":"dr"}]}"#,
        r#"CreateBackup
{"FileSystemId":"fs-0123456789abcdef0","ClientRequestToken":"t","Tags":[{"Key":"k","Value":""}]}"#,
        r#"DescribeBackups
{"Filters":[{"Name":"file-system-id","Values":["fs-0123456789abcdef0"]},{"Name":"backup-type","Values":["AUTOMATIC"]}],"MaxResults":5,"NextToken":"AAAAAAAAAAA="}"#,
        r#"DeleteBackup
{"BackupId":"backup-0abc123456789cba7","ClientRequestToken":"t"}"#,
        r#"CreateFileSystem
{"FileSystemType":"LUSTRE","StorageCapacity":1200,"StorageType":"SSD","SubnetIds":["subnet-0123456789abcdef0"],"SecurityGroupIds":["sg-0123456789abcdef0"],"FileSystemTypeVersion":"2.15","LustreConfiguration":{"WeeklyMaintenanceStartTime":"1:05:00","DeploymentType":"PERSISTENT_1","PerUnitStorageThroughput":50,"DailyAutomaticBackupStartTime":"05:00","AutomaticBackupRetentionDays":7,"CopyTagsToBackups":true,"DataCompressionType":"LZ4"}}"#,
        r#"CreateFileSystem
{"FileSystemType":"WINDOWS","StorageCapacity":32,"SubnetIds":["subnet-0123456789abcdef0"],"WindowsConfiguration":{"ThroughputCapacity":8,"ActiveDirectoryId":"d-1234567890","Aliases":["a.example"]}}"#,
        r#"CreateFileSystemFromBackup
{"BackupId":"backup-0abc123456789cba7","SubnetIds":["subnet-0123456789abcdef0"],"OpenZFSConfiguration":{"DeploymentType":"SINGLE_AZ_1","ThroughputCapacity":64}}"#,
        r#"UpdateFileSystem
{"FileSystemId":"fs-0123456789abcdef0","OpenZFSConfiguration":{"AutomaticBackupRetentionDays":0}}"#,
        r#"DeleteFileSystem
{"FileSystemId":"fs-0123456789abcdef0","LustreConfiguration":{"SkipFinalBackup":false,"FinalBackupTags":[{"Key":"k","Value":"v"}]}}"#,
        r#"DescribeFileSystems
{"FileSystemIds":["fs-0123456789abcdef0"],"MaxResults":2147483647}"#,
        r#"TagResource
{"ResourceARN":"arn:aws:fsx:us-west-1:111122223333:backup/backup-0abc123456789cba7","Tags":[{"Key":"k","Value":"v"}]}"#,
        r#"UntagResource
{"ResourceARN":"arn:aws:fsx:us-west-1:111122223333:backup/backup-0abc123456789cba7","TagKeys":["k"]}"#,
    ];
    all.map(|text| text.as_bytes().to_vec()).into()
}

/// Operations of CloudHSM with their bodies.
pub(crate) fn cloudhsm() -> Vec<Vec<u8>> {
    let all = [
        r#"CopyBackupToRegion
{"DestinationRegion":"us-west-2","BackupId":"backup-ro5c4er4aac","TagList":[{"Key":"Name","Value":"dr"}]}"#,
        r#"DescribeBackups
{"Filters":{"sourceBackupIds":["backup-ro5c4er4aac"],"states":["READY"],"neverExpires":["true"]},"SortAscending":true,"Shared":false,"MaxResults":5}"#,
        r#"DescribeClusters
{"Filters":{"clusterIds":["cluster-dygnwhmscg5"],"vpcIds":["vpc-0123456789abcdef0"]}}"#,
        r#"CreateCluster
{"BackupRetentionPolicy":{"Type":"DAYS","Value":"90"},"HsmType":"hsm2m.medium","SubnetIds":["subnet-0e358c43"],"Mode":"FIPS"}"#,
        r#"InitializeCluster
{"ClusterId":"cluster-dygnwhmscg5","SignedCert":"a","TrustAnchor":"b"}"#,
        r#"DeleteHsm
{"ClusterId":"cluster-dygnwhmscg5","EniIp":"10.0.0.1"}"#,
        r#"PutResourcePolicy
{"ResourceArn":"arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-ro5c4er4aac","Policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"},\"Action\":\"cloudhsm:*\",\"Resource\":\"*\"}]}"}"#,
        r#"ModifyBackupAttributes
{"BackupId":"backup-ro5c4er4aac","NeverExpires":true}"#,
    ];
    all.map(|text| text.as_bytes().to_vec()).into()
}

/// Actions of CBS with their parameters, in JSON and as forms.
pub(crate) fn cbs() -> Vec<Vec<u8>> {
    let all = [
        r#"CopySnapshotCrossRegions
{"DestinationRegions":["ap-beijing","ap-shanghai"],"SnapshotId":"snap-ckgjwkqh","SnapshotName":"copy"}"#,
        "CopySnapshotCrossRegions\nDestinationRegions.0=ap-beijing&SnapshotId=snap-ckgjwkqh",
        r#"CreateSnapshot
{"DiskId":"disk-omp7wl2m","SnapshotName":"day one","Deadline":"2026-02-15T12:00:00+08:00","Tags":[{"Key":"k","Value":"v"}]}"#,
        r#"DescribeSnapshots
{"Filters":[{"Name":"snapshot-state","Values":["NORMAL"]},{"Name":"encrypt","Values":["FALSE"]}],"Offset":1,"Limit":100,"Order":"ASC","OrderField":"CREATE_TIME"}"#,
        "DescribeSnapshots\nFilters.0.Name=disk-id&Filters.0.Values.0=disk-omp7wl2m&Filters.0.Values.1=x&Limit=5",
        r#"ModifySnapshotAttribute
{"SnapshotId":"snap-ckgjwkqh","SnapshotName":"kept","IsPermanent":true}"#,
        r#"CreateDisks
{"Placement":{"Zone":"ap-guangzhou-3","ProjectId":0},"DiskChargeType":"POSTPAID_BY_HOUR","DiskType":"CLOUD_SSD","DiskSize":10,"DiskCount":2,"ClientToken":"once","Tags":[{"Key":"env","Value":"prod"}]}"#,
        r#"CreateAutoSnapshotPolicy
{"Policy":[{"DayOfWeek":[1,3],"Hour":[0,23]}],"RetentionDays":30}"#,
        "CreateAutoSnapshotPolicy\nPolicy.0.DayOfWeek.0=1&Policy.0.Hour.0=0&RetentionDays=30",
    ];
    all.map(|text| text.as_bytes().to_vec()).into()
}

/// Resource policies.
pub(crate) fn policies() -> Vec<Vec<u8>> {
    let all = [
        r#"{"Version":"2012-10-17","Id":"p","Statement":[{"Sid":"s","Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/x"]},"Action":["cloudhsm:Copy*","cloudhsm:Describe?ackups"],"Resource":"arn:aws:cloudhsm:*:*:backup/*a*a*a*b"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"cloudhsm:*a*a*a*a*a*a*a*a*","Resource":"*"}]}"#,
    ];
    all.map(|text| text.as_bytes().to_vec()).into()
}

const SIGNED: &str = include_str!("../../src/cloudhsm/certificates/testdata/v1.pem");
const ANCHOR: &str = include_str!("../../src/cloudhsm/certificates/testdata/ca.pem");
const REQUEST: &str = include_str!("../../src/cloudhsm/certificates/testdata/cluster.csr");

/// A certificate, its anchor and the request it answers.
pub(crate) fn certificates() -> Vec<Vec<u8>> {
    vec![[SIGNED, ANCHOR, REQUEST].map(str::trim_end).join("\n=\n").into_bytes()]
}

/// The same without PEM around it.
pub(crate) fn ders() -> Vec<Vec<u8>> {
    let der = |pem: &str| {
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(text).expect("PEM holds base64");
        [u16::try_from(der.len()).expect("it is short").to_le_bytes().as_slice(), &der].concat()
    };
    vec![[SIGNED, ANCHOR, REQUEST].map(der).concat()]
}

/// Tokens of listings.
pub(crate) fn next_tokens() -> Vec<Vec<u8>> {
    let token = wire::aws::next_token::NextToken::binding("DescribeBackups", &["READY"]).seal("cursor");
    vec![token.into_bytes(), "1768478400000 backup-0abc123456789cba7".into(), "é".repeat(90).into_bytes()]
}

/// Names of resources.
pub(crate) fn arns() -> Vec<Vec<u8>> {
    let all = ["arn:aws:fsx:us-west-1:111122223333:backup/backup-0abc123456789cba7", "arn:aws:s3:::bucket/a:b/c"];
    all.map(|text| text.as_bytes().to_vec()).into()
}

/// Times in replies.
pub(crate) fn times() -> Vec<Vec<u8>> {
    ["1768478400.127", "-1", "1e300"].map(|text| text.as_bytes().to_vec()).into()
}
