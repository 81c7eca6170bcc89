using Dbt.Translator.Memory;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>
/// A processor's GDT and LDT. The GDT is a list of the guest's own frames, each held with the type "descriptor page", and above them
/// the flat segments that every guest finds. The LDT's pages are taken when they are first needed, through the page tables in force.
/// No descriptor beyond the number of entries is ever read (XSA-298).
/// </summary>
internal sealed unsafe partial class DescriptorTables(Vcpu vcpu)
{
    /// <summary>Most entries of an LDT.</summary>
    public const uint MaxLdtEntries = 8192;

    private const int EntriesPerPage = Layout.PageSize / 8;
    private const ulong Ring1Code = 0x00CFBB000000FFFF, Ring1Data = 0x00CFB3000000FFFF;
    private const ulong Ring3Code = 0x00CFFB000000FFFF, Ring3Data = 0x00CFF3000000FFFF;

    private readonly uint[] _gdtFrames = new uint[Layout.FirstReservedGdtPage];
    private readonly uint[] _ldtFrames = new uint[MaxLdtEntries / EntriesPerPage];
    private uint _ldtBase;

    /// <summary>Entries of the guest's GDT.</summary>
    public uint GdtEntries { get; private set; }

    /// <summary>Entries of the LDT; 0 where there is none.</summary>
    public uint LdtEntries { get; private set; }

    /// <summary>Frames of the guest's GDT, 0 beyond its end.</summary>
    public ReadOnlySpan<uint> GdtFrames => _gdtFrames;

    /// <summary>Linear address of the LDT.</summary>
    public uint LdtBase => _ldtBase;

    /// <summary>Replaces the GDT. Nothing changes where it fails.</summary>
    /// <param name="frames">One frame for each 512 entries.</param>
    /// <param name="entries">Entries, at most <see cref="Layout.FirstReservedGdtEntry"/>.</param>
    /// <returns>0, or -EINVAL for a frame that isn't the domain's, is in use as something else, or holds a descriptor that is refused.</returns>
    public int SetGdt(ReadOnlySpan<uint> frames, uint entries)
    {
        DomainMemory memory = vcpu.Domain.Memory;
        for (int i = 0; i < frames.Length; i++)
        {
            if (!memory.TryGetPageAndType(frames[i], PageType.Descriptor))
            {
                while (i-- > 0)
                {
                    memory.PutPageAndType(frames[i]);
                }

                return -Errno.EINVAL;
            }
        }

        DropGdt();
        frames.CopyTo(_gdtFrames);
        GdtEntries = entries;
        return 0;
    }

    /// <summary>Gives up the GDT's frames.</summary>
    public void DropGdt()
    {
        GdtEntries = 0;
        foreach (ref uint frame in _gdtFrames.AsSpan())
        {
            if (frame != 0)
            {
                vcpu.Domain.Memory.PutPageAndType(frame);
                frame = 0;
            }
        }
    }

    /// <summary>Sets the LDT; the arguments have been checked.</summary>
    public void SetLdt(uint linear, uint entries)
    {
        DropLdtPages();
        _ldtBase = linear;
        LdtEntries = entries;
    }

    /// <summary>Gives up the LDT's frames, which are looked up again when they are needed: the address space changed.</summary>
    public void DropLdtPages()
    {
        foreach (ref uint frame in _ldtFrames.AsSpan())
        {
            if (frame != 0)
            {
                vcpu.Domain.Memory.PutPageAndType(frame);
                frame = 0;
            }
        }
    }

    /// <summary>Reads the descriptor that a selector names.</summary>
    /// <returns>False beyond the table's end, for the hypervisor's own entries, or where the LDT's page can't be had.</returns>
    public bool TryRead(ushort selector, out ulong descriptor)
    {
        int index = selector >> 3;
        if ((selector & 4) != 0)
        {
            return TryReadLdt((uint)index, out descriptor);
        }

        if (index < Layout.FirstReservedGdtEntry)
        {
            if ((uint)index < GdtEntries)
            {
                descriptor = Entry(_gdtFrames[index / EntriesPerPage], index);
                return true;
            }

            descriptor = 0;
            return false;
        }

        descriptor = (selector & ~7) switch
        {
            Layout.FlatRing1Cs & ~7 => Ring1Code,
            Layout.FlatRing1Ds & ~7 => Ring1Data,
            Layout.FlatRing3Cs & ~7 => Ring3Code,
            Layout.FlatRing3Ds & ~7 => Ring3Data,
            _ => 0,
        };
        return descriptor != 0;
    }

    /// <summary>Whether a selector's error code names an LDT entry within the limit whose page can't be had.</summary>
    /// <param name="errorCode">Error code of #GP.</param>
    /// <param name="linear">Linear address of the entry.</param>
    public bool IsAbsentLdtEntry(uint errorCode, out uint linear)
    {
        uint index = (errorCode & 0xFFFF) >> 3;
        linear = _ldtBase + (index * 8);
        return (errorCode & 7) == 4 && index < LdtEntries && !TryReadLdt(index, out _);
    }

    private bool TryReadLdt(uint index, out ulong descriptor)
    {
        descriptor = 0;
        if (index >= LdtEntries)
        {
            return false;
        }

        ref uint frame = ref _ldtFrames[index / EntriesPerPage];
        if (frame == 0 && !TryTakeLdtPage(index / EntriesPerPage, ref frame))
        {
            return false;
        }

        descriptor = Entry(frame, (int)index);
        return true;
    }

    private bool TryTakeLdtPage(uint page, ref uint frame)
    {
        // The base is below the hypervisor, but the last of 16 pages may not be.
        uint linear = _ldtBase + (page * Layout.PageSize);
        if (linear < _ldtBase || linear >= Layout.HypervisorStart
            || !vcpu.TryResolve(vcpu.State, linear, MemoryAccess.Read, false, out byte* host, out _))
        {
            return false;
        }

        uint mfn = vcpu.Domain.Hypervisor.Machine.FrameOf(host);
        if (!vcpu.Domain.Memory.TryGetPageAndType(mfn, PageType.Descriptor))
        {
            return false;
        }

        frame = mfn;
        return true;
    }

    private ulong Entry(uint mfn, int index)
    {
        var page = (ulong*)vcpu.Domain.Hypervisor.Machine.Frame(mfn);
        return Volatile.Read(ref page[index % EntriesPerPage]);
    }
}
