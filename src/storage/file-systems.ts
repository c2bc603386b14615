/** Types of file systems: their names, and which are no place for checkpoints. */

const IN_MEMORY = ['tmpfs', 'ramfs', 'hugetlbfs'];
const NETWORK = ['nfs', 'cifs', 'smb', 'smb2', 'ceph', 'lustre', 'gpfs', 'beegfs', 'ocfs2', 'gfs2', '9p', 'virtiofs', 'fuse', 'vboxsf'];

/** What should be known before checkpoints are kept on a file system of this type. */
export function fileSystemWarnings(fileSystem: string): string[] {
  if (IN_MEMORY.includes(fileSystem)) {
    return [`This is ${fileSystem}: it is memory, and checkpoints in it are lost when the machine restarts. Use a disk.`];
  }
  if (NETWORK.includes(fileSystem)) {
    return [
      `This is ${fileSystem}: whether saved data survives a power failure, and whether locks keep other machines out, is up to its server. Let one machine write.`,
    ];
  }
  if (fileSystem === 'overlayfs') {
    return ['This is overlayfs, the layer of a container: checkpoints in it go when the container is removed. Mount a volume.'];
  }
  if (fileSystem === 'squashfs' || fileSystem === 'erofs') return [`This is ${fileSystem}, which cannot be written to.`];
  return [];
}

/** Names of the commonest types, for where there is no addon to ask. Numbers: linux/magic.h. */
const FILE_SYSTEMS = new Map<number, string>([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlayfs'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x65735546, 'fuse'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
  [0x00c36400, 'ceph'],
  [0x0bd00bd0, 'lustre'],
  [0x01021997, '9p'],
  [0x6a656a63, 'virtiofs'],
  [0x4d44, 'vfat'],
  [0x2011bab0, 'exfat'],
]);

/** The name of what statfs gives as `type`; `unknown(0x…)` where it has none here. */
export function fileSystemName(type: number): string {
  const name = process.platform === 'linux' ? FILE_SYSTEMS.get(type) : undefined;
  return name ?? `unknown(0x${type.toString(16)})`;
}
