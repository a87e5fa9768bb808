//! A tree with one of everything that a file system can hold and a backup can get wrong.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, makedev};

use super::at;
use super::content::{Content, Random};

/// How deep the deepest directory lies: a path of 1,000 bytes, which outside tools can still name.
const DEPTH: usize = 500;

/// Builds the odd tree in `dir`, one directory for each kind of oddity.
///
/// What only root may make is left out for others: devices, other owners, `trusted.` attributes,
/// capabilities, and files that their owner may not read. Clean-up by root needs no help; others
/// have to make `modes/read-only` writable first.
///
/// # Errors
/// What the file system answers, with the path; `Unsupported` where it has no attributes or ACLs.
pub fn odd_tree(dir: &Path) -> io::Result<()> {
    let root = rustix::process::geteuid().is_root();
    let section = |name: &str| {
        let path = dir.join(name);
        at(&path, fs::create_dir_all(&path)).map(|()| path)
    };
    sizes(&section("sizes")?)?;
    holes(&section("holes")?)?;
    names(&section("names")?)?;
    symlinks(&section("symlinks")?)?;
    hard_links(&section("hard-links")?)?;
    special_files(&section("special")?, root)?;
    if root {
        owners(&section("owners")?)?;
    }
    modes(&section("modes")?, root)?;
    attributes(&section("attributes")?, root)?;
    access_lists(&section("acl")?)?;
    deep_directory(&section("deep")?, DEPTH)?;
    crowded_directory(&section("crowded")?, 1_000)?;
    // Last, since whatever is made in a directory changes its time.
    times(&section("times")?)
}

/// Puts `entries` files in `dir`, which is created when missing; every hundredth has a byte in it.
///
/// # Errors
/// What the file system answers, with the path.
pub fn crowded_directory(dir: &Path, entries: usize) -> io::Result<()> {
    at(dir, fs::create_dir_all(dir))?;
    for serial in 0..entries {
        let content: &[u8] = if serial % 100 == 0 { b"x" } else { b"" };
        write(&dir.join(format!("entry-{serial:06}")), content)?;
    }
    Ok(())
}

/// Nests `depth` directories in `dir`, each named `d`, with a file called `bottom` in the last.
///
/// # Errors
/// What the file system answers, with the path; names longer than `PATH_MAX` are not tried.
pub fn deep_directory(dir: &Path, depth: usize) -> io::Result<()> {
    let mut path = dir.to_owned();
    path.extend(std::iter::repeat_n("d", depth));
    at(&path, fs::create_dir_all(&path))?;
    write(&path.join("bottom"), b"reached")
}

/// Empty, one byte, and both sides of the sizes at which files are bundled and cut.
fn sizes(dir: &Path) -> io::Result<()> {
    let mut random = Random::new(1);
    for bytes in [0, 1, 4095, 4096, 4097, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, (4 << 20) + 1, 9_999_999] {
        let path = dir.join(format!("bytes-{bytes}"));
        let mut file = at(&path, File::create_new(&path))?;
        at(&path, Content::Incompressible.write(&mut file, &mut random, bytes))?;
    }
    let zeros = dir.join("written-zeros");
    let mut file = at(&zeros, File::create_new(&zeros))?;
    at(&zeros, Content::Zero.write(&mut file, &mut random, 3 << 20))
}

fn holes(dir: &Path) -> io::Result<()> {
    const MIB: u64 = 1 << 20;
    sparse(&dir.join("at-start"), 2 * MIB, &[MIB])?;
    sparse(&dir.join("in-the-middle"), 3 * MIB, &[0, 2 * MIB])?;
    sparse(&dir.join("at-end"), 2 * MIB, &[0])?;
    sparse(&dir.join("everywhere"), 8 * MIB, &[])?;
    sparse(&dir.join("many"), 4 * MIB, &[65_536, 262_144, 1_048_576, 2_000_000, 3_141_592])?;
    sparse(&dir.join("ends-off-a-block"), 2 * MIB + 123, &[MIB + 7])?;
    // Large in name only: whoever reads holes is seen to. No larger, since outside judges read them.
    sparse(&dir.join("a-gibibyte"), 1 << 30, &[1 << 29])
}

/// A file of `bytes` with 4 KiB of data at each of `islands` and holes around them.
fn sparse(path: &Path, bytes: u64, islands: &[u64]) -> io::Result<()> {
    let file = at(path, File::create_new(path))?;
    at(path, file.set_len(bytes))?;
    for offset in islands {
        let mut data = Vec::new();
        Content::Incompressible.write(&mut data, &mut Random::new(*offset), 4096)?;
        at(path, file.write_all_at(&data, *offset))?;
    }
    Ok(())
}

fn names(dir: &Path) -> io::Result<()> {
    let longest = [b'n'; 255];
    let longest_not_utf8 = [0xfe; 255];
    let names: [&[u8]; 19] = [
        b"not-utf8-\xff\xfe",
        b"\x80",
        b"\x01\x1b[31m\x7f",
        b"two\nlines",
        b"tab\tand\rreturn",
        b"-rf",
        b"--help",
        b" spaces around ",
        b"back\\slash",
        b"trailing\\",
        b"\"quotes'`$HOME`",
        b"*?[a-z]{x,y}",
        b"...",
        b".hidden",
        b"~",
        b"%00%2f",
        "\u{e9}".as_bytes(),
        "e\u{301}".as_bytes(),
        "日本語 🗄".as_bytes(),
    ];
    for name in names.iter().chain([&longest[..], &longest_not_utf8[..]].iter()) {
        write(&dir.join(OsStr::from_bytes(name)), name)?;
    }
    let odd_directory = dir.join(OsStr::from_bytes(b"dir \xff\n"));
    at(&odd_directory, fs::create_dir(&odd_directory))?;
    write(&odd_directory.join("inside"), b"inside")?;
    // `a`, `a/b`, `a-b` and `a.b` sort differently by name and by path.
    let sorted_apart = dir.join("a");
    at(&sorted_apart, fs::create_dir(&sorted_apart))?;
    ["a/b", "a-b", "a.b", "a0"].iter().try_for_each(|name| write(&dir.join(name), name.as_bytes()))
}

fn symlinks(dir: &Path) -> io::Result<()> {
    write(&dir.join("file"), b"target")?;
    at(dir, fs::create_dir(dir.join("directory")))?;
    let longest = "t/".repeat(2047);
    let targets: [(&str, &[u8]); 10] = [
        ("relative", b"file"),
        ("relative-up", b"../symlinks/./file"),
        ("to-directory", b"directory"),
        ("dangling", b"no/such/place"),
        ("absolute", b"/etc/hostname"),
        ("absolute-dangling", b"/no/such/place"),
        ("to-itself", b"to-itself"),
        ("out-of-the-tree", b"../../../../../.."),
        ("not-utf8", b"\xff\xfe\n"),
        ("longest", longest.as_bytes()),
    ];
    for (name, target) in targets {
        let path = dir.join(name);
        at(&path, symlink(OsStr::from_bytes(target), &path))?;
    }
    Ok(())
}

/// Groups inside a directory and across two, one of them empty, one a symlink, one a FIFO.
fn hard_links(dir: &Path) -> io::Result<()> {
    let [first, second] = ["first", "second"].map(|name| dir.join(name));
    for path in [&first, &second] {
        at(path, fs::create_dir(path))?;
    }
    write(&first.join("group"), &[b'g'; 100_000])?;
    write(&first.join("empty"), b"")?;
    at(&first, symlink("group", first.join("link")))?;
    make_node(&first.join("fifo"), FileType::Fifo, 0)?;
    let pairs = [
        (first.join("group"), first.join("group-again")),
        (first.join("group"), second.join("group-elsewhere")),
        (first.join("empty"), second.join("empty")),
        (first.join("link"), second.join("link")),
        (first.join("fifo"), second.join("fifo")),
    ];
    for (name, another) in &pairs {
        // Unlike std's, this is sure not to follow a symlink.
        at(another, rustix::fs::linkat(CWD, name, CWD, another, AtFlags::empty()))?;
    }
    Ok(())
}

fn special_files(dir: &Path, root: bool) -> io::Result<()> {
    make_node(&dir.join("fifo"), FileType::Fifo, 0)?;
    make_node(&dir.join("socket"), FileType::Socket, 0)?;
    if root {
        make_node(&dir.join("character-device"), FileType::CharacterDevice, makedev(1, 3))?;
        make_node(&dir.join("block-device"), FileType::BlockDevice, makedev(7, 200))?;
        // Neither number fits the 8 bits that device numbers once had.
        make_node(&dir.join("large-numbers"), FileType::CharacterDevice, makedev(4_000, 1_000_000))?;
    }
    Ok(())
}

fn make_node(path: &Path, kind: FileType, device: u64) -> io::Result<()> {
    at(path, rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), device))
}

fn owners(dir: &Path) -> io::Result<()> {
    let owners = [("nobody", 65_534, 65_534), ("unknown", 12_345, 54_321), ("largest", 4_294_967_294, 4_294_967_294)];
    for (name, uid, gid) in owners {
        let [file, link, directory] = ["file", "link", "dir"].map(|kind| dir.join(format!("{name}-{kind}")));
        write(&file, name.as_bytes())?;
        at(&link, symlink("somewhere", &link))?;
        at(&directory, fs::create_dir(&directory))?;
        for path in [&file, &link, &directory] {
            at(path, lchown(path, Some(uid), Some(gid)))?;
        }
    }
    Ok(())
}

fn modes(dir: &Path, root: bool) -> io::Result<()> {
    for mode in [0o4755, 0o2755, 0o6711, 0o1644, 0o7777, 0o400, 0o777] {
        let path = dir.join(format!("file-{mode:04o}"));
        write(&path, b"mode")?;
        // A change of owner would clear setuid: a restore has to set the mode after it.
        if root {
            at(&path, lchown(&path, Some(1_000), Some(1_000)))?;
        }
        set_mode(&path, mode)?;
    }
    for mode in [0o2775, 0o1777, 0o3770, 0o700] {
        let path = dir.join(format!("dir-{mode:04o}"));
        at(&path, fs::create_dir(&path))?;
        set_mode(&path, mode)?;
    }
    if root {
        for mode in [0o000, 0o200] {
            let path = dir.join(format!("unreadable-{mode:03o}"));
            write(&path, b"for root only")?;
            set_mode(&path, mode)?;
        }
    }
    let read_only = dir.join("read-only");
    at(&read_only, fs::create_dir(&read_only))?;
    write(&read_only.join("inside"), b"made before the directory was closed")?;
    set_mode(&read_only, 0o555)
}

fn attributes(dir: &Path, root: bool) -> io::Result<()> {
    let [file, directory, link] = ["file", "dir", "link"].map(|name| dir.join(name));
    write(&file, b"with attributes")?;
    at(&directory, fs::create_dir(&directory))?;
    at(&link, symlink("file", &link))?;
    for path in [&file, &directory] {
        set_attribute(path, "user.text", b"value")?;
        set_attribute(path, "user.binary", &[0, 0xff, b'\n', 0, 0x80])?;
        set_attribute(path, "user.empty", b"")?;
        set_attribute(path, "user.n\u{e4}me with spaces", b"odd name")?;
        set_attribute(path, "user.large", &[b'v'; 2_000])?;
    }
    if root {
        for path in [&file, &directory, &link] {
            set_attribute(path, "trusted.offsite", b"for root")?;
        }
        let capable = dir.join("capable");
        write(&capable, b"may open raw sockets")?;
        set_mode(&capable, 0o755)?;
        set_attribute(&capable, "security.capability", &capability_of_raw_sockets())?;
    }
    Ok(())
}

/// `cap_net_raw+ep` as `struct vfs_cap_data` of `linux/capability.h`, revision 2.
fn capability_of_raw_sockets() -> Vec<u8> {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    const CAP_NET_RAW: u32 = 1 << 13;
    let permitted_and_inheritable = [CAP_NET_RAW, 0, 0, 0];
    [REVISION_2_EFFECTIVE].into_iter().chain(permitted_and_inheritable).flat_map(u32::to_le_bytes).collect()
}

fn access_lists(dir: &Path) -> io::Result<()> {
    let file = dir.join("file");
    write(&file, b"others may read")?;
    set_mode(&file, 0o660)?;
    let access = [
        AclEntry { tag: USER_OBJ, permissions: 6, id: NO_ID },
        AclEntry { tag: USER, permissions: 4, id: 1_234 },
        AclEntry { tag: USER, permissions: 0, id: 65_534 },
        AclEntry { tag: GROUP_OBJ, permissions: 4, id: NO_ID },
        AclEntry { tag: GROUP, permissions: 6, id: 4_321 },
        AclEntry { tag: MASK, permissions: 6, id: NO_ID },
        AclEntry { tag: OTHER, permissions: 0, id: NO_ID },
    ];
    set_attribute(&file, "system.posix_acl_access", &encode_acl(&access))?;

    let directory = dir.join("with-default");
    at(&directory, fs::create_dir(&directory))?;
    set_attribute(&directory, "system.posix_acl_access", &encode_acl(&access))?;
    // Made before the default is set, so that it does not inherit one; a restore must not add any.
    write(&directory.join("without"), b"made first")?;
    set_attribute(&directory, "system.posix_acl_default", &encode_acl(&access))?;
    write(&directory.join("inherited"), b"made last")
}

struct AclEntry {
    tag: u16,
    permissions: u16,
    id: u32,
}

// The tags of `linux/posix_acl.h`.
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
const NO_ID: u32 = u32::MAX;

/// `linux/posix_acl_xattr.h`, version 2: a header of four bytes, then eight an entry, all little-endian.
fn encode_acl(entries: &[AclEntry]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for entry in entries {
        bytes.extend_from_slice(&entry.tag.to_le_bytes());
        bytes.extend_from_slice(&entry.permissions.to_le_bytes());
        bytes.extend_from_slice(&entry.id.to_le_bytes());
    }
    bytes
}

fn times(dir: &Path) -> io::Result<()> {
    let times = [
        ("to-the-nanosecond", 1_700_000_000, 123_456_789),
        ("last-nanosecond", 1_700_000_000, 999_999_999),
        ("epoch", 0, 0),
        ("just-before-1970", -1, 999_999_999),
        ("in-1938", -1_000_000_000, 1),
        ("past-2038", 2_147_483_648, 5),
        ("in-2100", 4_102_444_800, 987_654_321),
    ];
    for (name, seconds, nanoseconds) in times {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let [file, link, directory] = ["file", "link", "dir"].map(|kind| dir.join(format!("{name}-{kind}")));
        write(&file, name.as_bytes())?;
        at(&link, symlink("somewhere", &link))?;
        at(&directory, fs::create_dir(&directory))?;
        write(&directory.join("inside"), name.as_bytes())?;
        for path in [&file, &link, &directory] {
            let both = Timestamps { last_access: time, last_modification: time };
            at(path, rustix::fs::utimensat(CWD, path, &both, AtFlags::SYMLINK_NOFOLLOW))?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    at(path, fs::write(path, content))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    at(path, fs::set_permissions(path, Permissions::from_mode(mode)))
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    let set = rustix::fs::lsetxattr(path, name, value, XattrFlags::empty());
    set.map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("{}: {name}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::process::Command;

    use super::*;

    /// Looks at what arrived on disk, since a file system may quietly round or drop.
    #[test]
    fn the_odd_tree_is_as_odd_as_it_says() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        odd_tree(dir).unwrap();
        let at = |path: &str| fs::symlink_metadata(dir.join(path)).unwrap();

        assert!(at("holes/a-gibibyte").blocks() * 512 < 1 << 20);
        assert!(at("sizes/written-zeros").blocks() * 512 >= 3 << 20);
        assert_eq!(at("hard-links/first/group").nlink(), 3);
        assert_eq!(at("hard-links/second/link").nlink(), 2);
        assert!(at("special/socket").file_type().is_socket());
        assert_eq!(at("modes/dir-3770").mode() & 0o7777, 0o3770);
        assert_eq!((at("times/in-1938-link").mtime(), at("times/in-1938-link").mtime_nsec()), (-1_000_000_000, 1));
        assert_eq!(at("times/in-2100-dir").mtime(), 4_102_444_800);
        assert_eq!(at("acl/file").mode() & 0o777, 0o660);
        let mut deepest = dir.join("deep");
        deepest.extend(vec!["d"; DEPTH]);
        assert_eq!(fs::read(deepest.join("bottom")).unwrap(), b"reached");
        assert_eq!(fs::read_dir(dir.join("crowded")).unwrap().count(), 1_000);
        if rustix::process::geteuid().is_root() {
            assert_eq!(at("modes/file-4755").mode() & 0o7777, 0o4755);
            assert_eq!(at("owners/largest-link").uid(), 4_294_967_294);
            assert_eq!(at("special/large-numbers").rdev(), makedev(4_000, 1_000_000));
        } else {
            set_mode(&dir.join("modes/read-only"), 0o755).unwrap();
        }
    }

    #[test]
    fn outside_tools_read_the_attributes_as_they_were_meant() {
        let scratch = tempfile::tempdir().unwrap();
        odd_tree(scratch.path()).unwrap();
        let said = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(scratch.path()).output();
            String::from_utf8_lossy(&output.expect("`cargo xtask test` installs it").stdout).into_owned()
        };
        let list = said("getfacl", &["-n", "acl/with-default"]);
        for line in ["user:1234:r--", "group:4321:rw-", "default:user:1234:r--", "default:mask::rw-"] {
            assert!(list.lines().any(|found| found == line), "{line} is not in:\n{list}");
        }
        let attributes = said("getfattr", &["-d", "-e", "hex", "attributes/dir"]);
        assert!(attributes.contains("user.binary=0x00ff0a0080"), "{attributes}");
        if rustix::process::geteuid().is_root() {
            let capabilities = said("getcap", &["attributes/capable"]);
            assert!(capabilities.contains("cap_net_raw=ep"), "{capabilities}");
        }
    }
}
