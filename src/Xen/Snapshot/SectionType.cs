namespace Dbt.Xen.Snapshot;

/// <summary>What a section of a saved state is of. The numbers are the format's (docs/SNAPSHOT.md) and never change their meaning.</summary>
public enum SectionType : uint
{
    /// <summary>Ends the list.</summary>
    End = 0,

    /// <summary>What the domain is: see <see cref="DomainHeader"/>. The first of a file.</summary>
    Header = 1,

    /// <summary>The configuration from which the guest was made; the command's own.</summary>
    Configuration = 2,

    /// <summary>Pages of memory; only in files.</summary>
    Memory = 3,

    /// <summary>The domain as a whole: time, limits, what it turned on.</summary>
    Domain = 16,

    /// <summary>What CPUID tells.</summary>
    Cpuid = 17,

    /// <summary>Which frames or guest frames there are, and the contents of those that are the hypervisor's.</summary>
    Frames = 18,

    /// <summary>A paravirtual guest's pinned page tables.</summary>
    PageTables = 19,

    /// <summary>Event channels.</summary>
    Events = 20,

    /// <summary>The grant table.</summary>
    Grants = 21,

    /// <summary>HVM parameters and the memory map of an auto-translated domain.</summary>
    Hvm = 22,

    /// <summary>Which code its processors have run; only in migrations, on its own.</summary>
    HotCode = 23,

    /// <summary>A virtual processor; the instance is its id.</summary>
    Vcpu = 32,

    /// <summary>What only a paravirtual guest's processor has; the instance is its id.</summary>
    PvVcpu = 33,

    /// <summary>What only an auto-translated domain's processor has: system registers, local APIC; the instance is its id.</summary>
    HvmVcpu = 34,

    /// <summary>The guest's part of xenstore, and its session there.</summary>
    Store = 64,

    /// <summary>The console's back end.</summary>
    Console = 65,

    /// <summary>A disk's back end; the instance is its number.</summary>
    Disk = 66,

    /// <summary>A network card's back end; the instance is its handle.</summary>
    Network = 67,

    /// <summary>Frames that wait for a network card's guest, where there are any; the instance is its handle.</summary>
    NetworkFrames = 68,
}
