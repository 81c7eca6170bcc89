namespace Dbt.Translator.Protection;

/// <summary>What a processor with a system architecture of its own has beside <see cref="State.CpuState"/>, by which it can go on elsewhere.</summary>
public sealed record NativeSystemState
{
    /// <summary>IA32_EFER.</summary>
    public ulong Efer { get; init; }

    /// <summary>IA32_SYSENTER_CS, ESP and EIP.</summary>
    public (uint Cs, uint Esp, uint Eip) SystemEnter { get; init; }

    /// <summary>IA32_PAT.</summary>
    public ulong Pat { get; init; }

    /// <summary>IA32_MTRR_DEF_TYPE.</summary>
    public ulong MtrrDefault { get; init; }

    /// <summary>IA32_MTRR_PHYSBASE0 to PHYSMASK7: 16.</summary>
    public required ulong[] MtrrVariable { get; init; }

    /// <summary>The fixed-range MTRRs, in the order of their numbers: 11.</summary>
    public required ulong[] MtrrFixed { get; init; }

    /// <summary>The page-directory-pointer registers (SDM vol. 3, 4.4.1): 4.</summary>
    public required ulong[] DirectoryPointers { get; init; }

    /// <summary>Whether NMIs wait for IRET.</summary>
    public bool NmiBlocked { get; init; }
}
