using Dbt.Devices.Block;
using Dbt.Devices.Network;
using Dbt.Devices.Store;

namespace Dbt.Devices;

/// <summary>What a guest sees a disk as.</summary>
public enum DiskType
{
    /// <summary>A fixed disk.</summary>
    Disk,

    /// <summary>A CD-ROM: read-only, removable.</summary>
    Cdrom,
}

/// <summary>One virtual disk.</summary>
/// <param name="Path">Raw image file or block device on the host; where another domain serves the disk, whatever that domain knows it by.</param>
/// <param name="Device">Name and number the guest sees.</param>
/// <param name="ReadOnly">Writes are refused, and the image may be shared by several readers.</param>
/// <param name="Type">Disk or CD-ROM; a CD-ROM is always read-only.</param>
public sealed record DiskConfiguration(string Path, VirtualDevice Device, bool ReadOnly = false, DiskType Type = DiskType.Disk)
{
    /// <summary>Name or id of the domain that serves the disk (<c>backend=</c>); null for this process.</summary>
    public string? Backend { get; init; }

    /// <summary>Logical sector size that the guest sees, 512 or 4096 bytes; null for the image's own, which is 512 for a file.</summary>
    public int? SectorSize { get; init; }

    /// <summary>Whether the guest is told that it can give storage back, where the host's file system can take it.</summary>
    public bool Discard { get; init; } = true;

    /// <summary>Whether the image is raw even if it begins as one of another format would; it is refused otherwise.</summary>
    public bool IsSurelyRaw { get; init; }

    /// <summary>
    /// Whether the image is opened without its lock, which another has still from whom the guest comes; <see cref="DeviceHost.TryLockDisks"/> follows.
    /// </summary>
    public bool LocksLater { get; init; }

    /// <summary>Whether the image stays as it is, and what the guest writes is forgotten with the disk; several guests can have it so at a time.</summary>
    public bool IsOverlaid { get; init; }

    /// <summary>Whether persistent grants are offered: the guest copies to and from pages that it grants once.</summary>
    public bool PersistentGrants { get; init; } = true;
}

/// <summary>A domain's devices, for <see cref="DeviceHost.Attach"/>.</summary>
public sealed class DeviceConfiguration
{
    /// <summary>
    /// Where the console's input comes from; null for none. It is read on its own background thread, which can't be interrupted within
    /// a read: after <see cref="DeviceHost.Dispose"/> one more chunk may be swallowed.
    /// </summary>
    public Stream? ConsoleInput { get; init; }

    /// <summary>
    /// Whether input goes to the guest line by line, each when the guest seems to wait for it, as a person would type. For input that
    /// nobody types: programs throw away what was typed ahead.
    /// </summary>
    public bool PaceInput { get; init; }

    /// <summary>Where the console's output goes; flushed after each write. Not disposed.</summary>
    public required Stream ConsoleOutput { get; init; }

    /// <summary>Disks, in the order in which the guest finds them.</summary>
    public IReadOnlyList<DiskConfiguration> Disks { get; init; } = [];

    /// <summary>Whether a guest that comes from elsewhere gets its disks without their locks; see <see cref="DiskConfiguration.LocksLater"/>.</summary>
    public bool DisksLockLater { get; init; }

    /// <summary>Whether disks that a guest of elsewhere may write are overlaid; see <see cref="DiskConfiguration.IsOverlaid"/>.</summary>
    public bool DisksOverlaid { get; init; }

    /// <summary>Network cards, each with a <see cref="NetworkConfiguration.Handle"/> of its own.</summary>
    public IReadOnlyList<NetworkConfiguration> Networks { get; init; } = [];

    /// <summary>Makes a card of its <see cref="NetworkConfiguration.Specification"/>, for a guest that comes from elsewhere; null where nobody can.</summary>
    public Func<string, NetworkConfiguration>? ParseNetwork { get; init; }

    /// <summary>The store to use, where several domains share one; null makes a new one.</summary>
    public XenStore? Store { get; init; }
}
