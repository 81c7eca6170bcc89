using Dbt.Devices;
using Dbt.Devices.Network;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Events;
using Dbt.Xen.Grants;
using Dbt.Xen.Processor;

namespace Dbt.Cli.Config;

/// <summary>A guest as its configuration describes it, checked.</summary>
internal sealed record GuestConfig
{
    /// <summary>name=; else the file's name without its extension.</summary>
    public required string Name { get; init; }

    /// <summary>uuid=; null for a new one.</summary>
    public Guid? Uuid { get; init; }

    /// <summary>type=, or as the kernel says.</summary>
    public GuestType Type { get; init; }

    /// <summary>memory=, MiB.</summary>
    public int MemoryMiB { get; init; } = DefaultMemoryMiB;

    /// <summary>maxmem=, MiB.</summary>
    public int MaxMemoryMiB { get; init; } = DefaultMemoryMiB;

    /// <summary>maxvcpus=, or vcpus=.</summary>
    public int Vcpus { get; init; } = 1;

    /// <summary>vcpus=: how many of them the guest is asked to use; null for all.</summary>
    public int? OnlineVcpus { get; init; }

    /// <summary>Path of the kernel file; null for the embedded guest.</summary>
    public string? KernelPath { get; init; }

    /// <summary>Path of the ramdisk; null where there is none.</summary>
    public string? RamdiskPath { get; init; }

    /// <summary>cmdline=, or made of root= and extra=.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>disk=, in its order.</summary>
    public IReadOnlyList<DiskConfiguration> Disks { get; init; } = [];

    /// <summary>vif=, in its order.</summary>
    public IReadOnlyList<NetworkConfiguration> Networks { get; init; } = [];

    /// <summary>tick_slack=: milliseconds by which the periodic tick of an idle guest may be late.</summary>
    public int TickSlack { get; init; } = DefaultTickSlack;

    /// <summary>cpu_weight= and cap=: see <see cref="CpuShare"/>.</summary>
    public (int Weight, int Cap) CpuShare { get; init; } = (Xen.Scheduling.CpuShare.DefaultWeight, 0);

    /// <summary>code_cache=: whether compiled code is kept for the next run.</summary>
    public bool KeepsCode { get; init; } = true;

    /// <summary>cpuid=, in its order.</summary>
    public IReadOnlyList<CpuidChange> Cpuid { get; init; } = [];

    /// <summary>max_event_channels=: the highest port.</summary>
    public int MaxEventChannels { get; init; } = EventChannels.DefaultHighestPort;

    /// <summary>max_grant_frames=, max_maptrack_frames=, max_grant_version=.</summary>
    public (int Frames, int MapFrames, int Version) GrantLimits { get; init; } = (GrantTable.MaxFrames, GrantTable.MaxMapFrames, 2);

    /// <summary>on_*=.</summary>
    public ShutdownActions Actions { get; init; } = new();

    /// <summary>The text that it was read from, from which another process can read it again.</summary>
    public ConfigOrigin Origin { get; init; } = new("", null, "");

    /// <summary>What to tell the user: keys that do nothing, by name.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Memory of a guest whose configuration doesn't say.</summary>
    public const int DefaultMemoryMiB = 128;

    /// <summary>tick_slack where the configuration doesn't say.</summary>
    public const int DefaultTickSlack = (int)(Domain.DefaultTickSlack / 1_000_000);

    /// <summary>Most that tick_slack may say: a second.</summary>
    public const int MostTickSlack = 1000;
}
