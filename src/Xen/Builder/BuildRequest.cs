namespace Dbt.Xen.Builder;

/// <summary>What a domain is to be built from.</summary>
public sealed record BuildRequest
{
    /// <summary>Bounds of memory=, in MiB: what the smallest guests need, and what the machine-to-phys table covers.</summary>
    public const int LeastMemoryMiB = 1, MostMemoryMiB = 16 << 10;

    /// <summary>Virtual processors that shared_info has room for (XEN_LEGACY_MAX_VCPUS).</summary>
    public const int MostVcpus = 32;

    /// <summary>How it is started.</summary>
    public GuestType Type { get; init; }

    /// <summary>The kernel file's contents: ELF, compressed ELF, or bzImage.</summary>
    public required byte[] Kernel { get; init; }

    /// <summary>What errors call the kernel: its path.</summary>
    public string KernelName { get; init; } = "kernel";

    /// <summary>The ramdisk's contents, passed as they are; null where there is none.</summary>
    public byte[]? Ramdisk { get; init; }

    /// <summary>The kernel's command line, at most 1023 bytes, by PVH 4095.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>Memory in MiB (memory=).</summary>
    public required int MemoryMiB { get; init; }

    /// <summary>What it may grow to, in MiB (maxmem=); not below <see cref="MemoryMiB"/>. 0: the same.</summary>
    public int MaxMemoryMiB { get; init; }

    /// <summary>The two in KiB, the maximum at least as large as the other.</summary>
    internal (ulong Target, ulong Maximum) ConfiguredKib => ((ulong)MemoryMiB << 10, (ulong)Math.Max(MemoryMiB, MaxMemoryMiB) << 10);

    /// <summary>Virtual processors, 1 to 32; all but the first wait until the guest brings them up.</summary>
    public int Vcpus { get; init; } = 1;
}
