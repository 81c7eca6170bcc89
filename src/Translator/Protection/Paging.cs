using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using static Dbt.Translator.Protection.ControlBits;

namespace Dbt.Translator.Protection;

/// <summary>What a walk of the page tables found.</summary>
internal struct Translation
{
    /// <summary>Physical address of the byte.</summary>
    public ulong Physical;

    /// <summary>From an entry with G set while CR4.PGE is.</summary>
    public bool IsGlobal;

    /// <summary>From a 2-MiB or 4-MiB page.</summary>
    public bool IsLarge;

    /// <summary>A write needs nothing more either: it is allowed, and the page is marked dirty already.</summary>
    public bool AllowsWrite;
}

/// <summary>What a walk of PAE tables finds that changes nothing.</summary>
internal struct Probe
{
    /// <summary>Physical address of the page.</summary>
    public ulong Physical;

    /// <summary>R/W and U/S of all levels.</summary>
    public ulong Rights;

    /// <summary>From an entry with G set while CR4.PGE is.</summary>
    public bool IsGlobal;

    /// <summary>From a 2-MiB page.</summary>
    public bool IsLarge;

    /// <summary>Marked dirty.</summary>
    public bool IsDirty;

    /// <summary>NX of any level.</summary>
    public bool ForbidsExecution;
}

/// <summary>
/// The processor's page walks: physical addresses without paging, 2-level tables with 4-MiB pages and PSE-36, and PAE tables with
/// 2-MiB pages and NX (SDM vol. 3, 4.3 and 4.4). Accessed and dirty bits are set with a compare-exchange, as another processor may
/// change the entry at the same time; a walk whose entry changed under it starts again, a bounded number of times.
/// </summary>
internal sealed unsafe class Paging(NativePlatform platform)
{
    private const int MaxRestarts = 64;

    private readonly ulong[] _directoryPointers = new ulong[4];

    /// <summary>Loads the four page-directory-pointer entries, as MOV to CR3 does with PAE paging (SDM vol. 3, 4.4.1).</summary>
    /// <returns>False where a present one has a reserved bit set: the caller raises #GP(0), and nothing has changed.</returns>
    public bool TryLoadDirectoryPointers(uint cr3)
    {
        ulong reserved = ~platform.PhysicalMask | 0x1E6;
        Span<ulong> loaded = stackalloc ulong[4];
        for (int i = 0; i < 4; i++)
        {
            ulong* entry = (ulong*)Entry((cr3 & ~0x1Fu) + ((uint)i * 8));
            loaded[i] = entry == null ? 0 : Volatile.Read(ref *entry);
            if ((loaded[i] & EntryPresent) != 0 && (loaded[i] & reserved) != 0)
            {
                return false;
            }
        }

        loaded.CopyTo(_directoryPointers);
        return true;
    }

    /// <summary>The four page-directory-pointer entries as they were loaded.</summary>
    public ulong[] CaptureDirectoryPointers() => [.. _directoryPointers];

    /// <summary>Takes up entries that were loaded elsewhere.</summary>
    /// <returns>False where they aren't four, or a present one has a reserved bit set.</returns>
    public bool TryRestoreDirectoryPointers(ulong[] entries)
    {
        ulong reserved = ~platform.PhysicalMask | 0x1E6;
        if (entries.Length != _directoryPointers.Length || Array.Exists(entries, entry => (entry & EntryPresent) != 0 && (entry & reserved) != 0))
        {
            return false;
        }

        entries.CopyTo(_directoryPointers, 0);
        return true;
    }

    /// <summary>Translates a linear address with the checks of an access, and sets accessed and dirty bits.</summary>
    /// <returns>False for a page fault with <paramref name="error"/>.</returns>
    public bool TryTranslate(CpuState* cpu, uint linear, MemoryAccess access, bool user, out Translation result, out PageFaultCode error)
    {
        error = PageFaultCode.None;
        result = default;
        if ((cpu->Cr0 & Cr0Pg) == 0)
        {
            result.Physical = linear;
            return true;
        }

        bool pae = (cpu->Cr4 & Cr4Pae) != 0;
        for (int i = 0; i < MaxRestarts; i++)
        {
            Walk walk = pae ? WalkPae(cpu, linear, access, user, out result, out error) : WalkTwoLevel(cpu, linear, access, user, out result, out error);
            if (walk != Walk.Changed)
            {
                break;
            }

            error = PageFaultCode.None;
        }

        if (error == NoFault)
        {
            error = PageFaultCode.None;
            return true;
        }

        // Who loses MaxRestarts races against other processors gets a fault that isn't one: to be restarted by the guest.
        error &= ~NoFault;
        error |= (access == MemoryAccess.Write ? PageFaultCode.Write : 0) | (user ? PageFaultCode.User : 0);
        bool tellsFetches = (pae && (platform.Efer & EferNxe) != 0) || (cpu->Cr4 & Cr4Smep) != 0;
        if (access == MemoryAccess.Execute && tellsFetches)
        {
            error |= PageFaultCode.Fetch;
        }

        return false;
    }

    /// <summary>Whether <see cref="TryProbe"/> is for the paging that is on.</summary>
    public bool CanProbe(CpuState* cpu) => (cpu->Cr0 & Cr0Pg) != 0 && (cpu->Cr4 & Cr4Pae) != 0;

    /// <summary>Walks PAE tables without setting a bit in them.</summary>
    /// <returns>False where nothing is mapped, a reserved bit is set, or an accessed bit isn't.</returns>
    public bool TryProbe(CpuState* cpu, uint linear, out Probe probe)
    {
        const ulong Used = EntryPresent | EntryAccessed;
        probe = default;
        ulong pointer = _directoryPointers[linear >> 30];
        ulong physical = platform.PhysicalMask & ~0xFFFUL;
        ulong reserved = Reserved;
        var directory = (pointer & EntryPresent) == 0 ? null : (ulong*)Entry((pointer & physical) + (((linear >> 21) & 0x1FF) * 8));
        ulong entry = directory == null ? 0 : Volatile.Read(ref *directory);
        bool large = (entry & EntryLarge) != 0;
        if ((entry & Used) != Used || (entry & (large ? reserved | 0x1FE000 : reserved)) != 0)
        {
            return false;
        }

        probe.Rights = entry;
        probe.ForbidsExecution = (entry & EntryNoExecute) != 0;
        if (!large)
        {
            var leaf = (ulong*)Entry((entry & physical) + (((linear >> 12) & 0x1FF) * 8));
            entry = leaf == null ? 0 : Volatile.Read(ref *leaf);
            if ((entry & Used) != Used || (entry & reserved) != 0)
            {
                return false;
            }

            probe.Rights &= entry;
            probe.ForbidsExecution |= (entry & EntryNoExecute) != 0;
        }

        probe.Physical = large ? (entry & physical & ~0x1FFFFFUL) | (linear & 0x1FF000) : entry & physical;
        probe.IsLarge = large;
        probe.IsGlobal = (entry & EntryGlobal) != 0 && (cpu->Cr4 & Cr4Pge) != 0;
        probe.IsDirty = (entry & EntryDirty) != 0;
        return true;
    }

    /// <summary>Whether what was found may be accessed so.</summary>
    public static bool Permits(CpuState* cpu, in Probe probe, MemoryAccess access, bool user) =>
        Permits(cpu, probe.Rights, access, user) && (access != MemoryAccess.Execute || !probe.ForbidsExecution);

    // Bits of a PAE entry that must be clear.
    private ulong Reserved => (~platform.PhysicalMask & ~EntryNoExecute) | ((platform.Efer & EferNxe) == 0 ? EntryNoExecute : 0);

    // Marks success in the error code while walking; no fault has this bit.
    private const PageFaultCode NoFault = (PageFaultCode)(1u << 31);

    private enum Walk
    {
        Done,
        Changed,
    }

    private Walk WalkTwoLevel(CpuState* cpu, uint linear, MemoryAccess access, bool user, out Translation result, out PageFaultCode error)
    {
        result = default;
        error = PageFaultCode.None;
        var directory = (uint*)Entry((cpu->Cr3 & ~0xFFFu) + ((linear >> 22) * 4));
        uint pde = directory == null ? 0 : Volatile.Read(ref *directory);
        if ((pde & EntryPresent) == 0)
        {
            return Walk.Done;
        }

        if ((pde & EntryLarge) != 0 && (cpu->Cr4 & Cr4Pse) != 0)
        {
            // Bits 20:13 are address bits 39:32 (PSE-36); what the processor has none of, and bit 21, is reserved.
            ulong address = (pde & 0xFFC00000u) | ((ulong)(pde & 0x1FE000) << 19);
            if ((pde & 0x200000) != 0 || (address & ~platform.PhysicalMask) != 0)
            {
                error = PageFaultCode.Protection | PageFaultCode.Reserved;
                return Walk.Done;
            }

            if (!Permits(cpu, pde, access, user))
            {
                error = PageFaultCode.Protection;
                return Walk.Done;
            }

            if (!Mark(directory, pde, access))
            {
                return Walk.Changed;
            }

            result.Physical = address | (linear & 0x3FFFFF);
            result.IsLarge = true;
            result.IsGlobal = (pde & EntryGlobal) != 0 && (cpu->Cr4 & Cr4Pge) != 0;
            result.AllowsWrite = (pde & EntryDirty) != 0 && Permits(cpu, pde, MemoryAccess.Write, user);
            error = NoFault;
            return Walk.Done;
        }

        if (!Mark(directory, pde, MemoryAccess.Read))
        {
            return Walk.Changed;
        }

        var table = (uint*)Entry((pde & ~0xFFFu) + (((linear >> 12) & 0x3FF) * 4));
        uint pte = table == null ? 0 : Volatile.Read(ref *table);
        if ((pte & EntryPresent) == 0)
        {
            return Walk.Done;
        }

        if (!Permits(cpu, pde & pte, access, user))
        {
            error = PageFaultCode.Protection;
            return Walk.Done;
        }

        if (!Mark(table, pte, access))
        {
            return Walk.Changed;
        }

        result.Physical = (pte & ~0xFFFu) | (linear & 0xFFF);
        result.IsGlobal = (pte & EntryGlobal) != 0 && (cpu->Cr4 & Cr4Pge) != 0;
        result.AllowsWrite = (pte & EntryDirty) != 0 && Permits(cpu, pde & pte, MemoryAccess.Write, user);
        error = NoFault;
        return Walk.Done;
    }

    private Walk WalkPae(CpuState* cpu, uint linear, MemoryAccess access, bool user, out Translation result, out PageFaultCode error)
    {
        result = default;
        error = PageFaultCode.None;
        ulong pointer = _directoryPointers[linear >> 30];
        if ((pointer & EntryPresent) == 0)
        {
            return Walk.Done;
        }

        ulong physical = platform.PhysicalMask & ~0xFFFUL;
        ulong reserved = Reserved;
        var directory = (ulong*)Entry((pointer & physical) + (((linear >> 21) & 0x1FF) * 8));
        ulong pde = directory == null ? 0 : Volatile.Read(ref *directory);
        if ((pde & EntryPresent) == 0)
        {
            return Walk.Done;
        }

        bool large = (pde & EntryLarge) != 0;
        if ((pde & (large ? reserved | 0x1FE000 : reserved)) != 0)
        {
            error = PageFaultCode.Protection | PageFaultCode.Reserved;
            return Walk.Done;
        }

        ulong* leaf = directory;
        ulong entry = pde;
        ulong rights = pde;
        ulong noExecute = pde & EntryNoExecute;
        if (!large)
        {
            if (!Mark(directory, pde, MemoryAccess.Read))
            {
                return Walk.Changed;
            }

            leaf = (ulong*)Entry((pde & physical) + (((linear >> 12) & 0x1FF) * 8));
            entry = leaf == null ? 0 : Volatile.Read(ref *leaf);
            if ((entry & EntryPresent) == 0)
            {
                return Walk.Done;
            }

            if ((entry & reserved) != 0)
            {
                error = PageFaultCode.Protection | PageFaultCode.Reserved;
                return Walk.Done;
            }

            rights &= entry;
            noExecute |= entry & EntryNoExecute;
        }

        if (!Permits(cpu, rights, access, user) || (access == MemoryAccess.Execute && noExecute != 0))
        {
            error = PageFaultCode.Protection;
            return Walk.Done;
        }

        if (!Mark(leaf, entry, access))
        {
            return Walk.Changed;
        }

        result.Physical = large ? (entry & physical & ~0x1FFFFFUL) | (linear & 0x1FFFFF) : (entry & physical) | (linear & 0xFFF);
        result.IsLarge = large;
        result.IsGlobal = (entry & EntryGlobal) != 0 && (cpu->Cr4 & Cr4Pge) != 0;
        result.AllowsWrite = (entry & EntryDirty) != 0 && Permits(cpu, rights, MemoryAccess.Write, user);
        error = NoFault;
        return Walk.Done;
    }

    // SDM vol. 3, 4.6.1: R/W and U/S of all levels together.
    private static bool Permits(CpuState* cpu, ulong rights, MemoryAccess access, bool user)
    {
        bool writable = (rights & EntryWrite) != 0;
        if (user)
        {
            return (rights & EntryUser) != 0 && (access != MemoryAccess.Write || writable);
        }

        return access switch
        {
            MemoryAccess.Write => writable || (cpu->Cr0 & Cr0Wp) == 0,
            MemoryAccess.Execute => (rights & EntryUser) == 0 || (cpu->Cr4 & Cr4Smep) == 0,
            _ => true,
        };
    }

    private byte* Entry(ulong physical)
    {
        byte* page = platform.Table(physical >> 12);
        return page == null ? null : page + (physical & 0xFFF);
    }

    private bool Mark(uint* place, uint entry, MemoryAccess access)
    {
        uint marked = entry | (uint)EntryAccessed | (access == MemoryAccess.Write ? (uint)EntryDirty : 0);
        if (marked == entry)
        {
            return true;
        }

        bool same = Interlocked.CompareExchange(ref Unsafe.AsRef<uint>(place), marked, entry) == entry;
        platform.Written((byte*)place, 4);
        return same;
    }

    private bool Mark(ulong* place, ulong entry, MemoryAccess access)
    {
        ulong marked = entry | EntryAccessed | (access == MemoryAccess.Write ? EntryDirty : 0);
        if (marked == entry)
        {
            return true;
        }

        bool same = Interlocked.CompareExchange(ref Unsafe.AsRef<ulong>(place), marked, entry) == entry;
        platform.Written((byte*)place, 8);
        return same;
    }
}
